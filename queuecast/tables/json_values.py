"""The JSON values that a column takes, as types for msgspec, and the parser for rows that msgspec refuses."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from queuecast.domain.signature import INT64_MAX, INT64_MIN, ColumnType

VALUE_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool | Literal[0, 1],
}
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for bytes that are not JSON in UTF-8, or are nested too deeply."""

_LIST_MARK = re.compile(r"[ \t\n\r]*([\[,\]])[ \t\n\r]*")


def is_field_name(name: str) -> bool:
    """msgspec takes no field name that JSON must escape."""
    return json.dumps(name, ensure_ascii=False) == f'"{name}"'


def first_keys(rows: bytes, names: Sequence[str], wide: int = 256) -> tuple[str, ...]:
    """The names in the order of the keys of the first row, if they are many and in another order; else empty.

    rows: a JSON list. msgspec looks for each key from the place of the last one on, so keys in another order than the
    fields of its type cost time in proportion to the square of their number.
    """
    if len(names) <= wide:
        return ()
    try:
        row = next(parse_items_leniently(rows.decode()), None)
    except (ValueError, RecursionError):
        return ()
    known = set(names)
    keys = tuple(key for key in row if key in known) if isinstance(row, dict) else ()
    return keys if len(keys) == len(names) and keys != tuple(names) else ()


def parse_leniently(text: str | bytes, **options: Any) -> Any:
    """JSON in which a number that is too long to hold becomes infinite. Raises ValueError or RecursionError."""
    return json.loads(text, parse_int=_parse_digits, **options)


def parse_items_leniently(text: str, **options: Any) -> Iterator[Any]:
    """The items of a JSON list as `parse_leniently` reads them, one at a time, so that memory holds only one of them.

    text: known to be JSON, for example because msgspec has accepted it. Raises ValueError or RecursionError.
    """
    decoder = json.JSONDecoder(parse_int=_parse_digits, **options)
    mark = _LIST_MARK.match(text)
    if mark is not None and mark[1] == "[" and text.startswith("]", mark.end()):
        return
    while mark is not None and mark[1] != "]":
        item, end = decoder.raw_decode(text, mark.end())
        yield item
        mark = _LIST_MARK.match(text, end)
    if mark is None:
        raise ValueError("the text is not a JSON list")


def _parse_digits(digits: str) -> float:
    """A float has at most 309 digits before its point, and int() refuses more than 4,300."""
    return int(digits) if len(digits) < 400 else math.inf
