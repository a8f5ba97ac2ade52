"""Whole numbers that are written as floats: `3.0` in an integer column, `1.0` in a boolean one."""

import json
from collections.abc import Sequence
from typing import Any

EXACT_FLOAT = 2.0**53  # up to here a float holds every whole number


def whole(value: Any) -> Any:
    """`3.0` as 3, for an integer column: JSON makes no difference (JSON Schema 2020-12, validation 6.1.1)."""
    is_whole = type(value) is float and abs(value) <= EXACT_FLOAT and value.is_integer()
    return int(value) if is_whole else value


def truth(value: Any) -> Any:
    """The numbers 1 and 0 as true and false, for a boolean column: a frame or a file may have it as numbers."""
    return bool(value) if type(value) in (int, float) and value in (0, 1) else value


def rows_with_whole_numbers(text: bytes, places: Sequence[str | int]) -> bytes | None:
    """JSON rows with `3.0` as 3 at some keys or places; None if there is no such number, or a row repeats a key."""
    try:
        rows = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return None
    is_changed = False
    for row in rows:
        for place in places:
            number = whole(row[place])
            is_changed |= number is not row[place]
            row[place] = number
    return json.dumps(rows).encode() if is_changed else None


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError("a row repeats a column")
    return row
