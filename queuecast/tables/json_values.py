"""The JSON values that a column takes, as types for msgspec, and the parser for rows that msgspec refuses."""

import json
import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from queuecast.domain.columns.dtypes import float_bound, whole_bounds
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, column_findings

VALUE_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool | Literal[0, 1],
    ColumnType.DATETIME: str,
    ColumnType.DATE: str,
    ColumnType.TIME: str,
    ColumnType.DURATION: str,
    ColumnType.DECIMAL: str | int | float,
    ColumnType.OBJECT: dict[str, Any],
}
"""The JSON types, without the bounds of a dtype and without a look at a text."""

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for bytes that are not JSON in UTF-8, or are nested too deeply."""

MANY_KEYS = 256
"""Of more keys, their order matters for the time that msgspec takes."""

_cells_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST_MARK = re.compile(r"[ \t\n\r]*([\[,\]])[ \t\n\r]*")


class CheckedCell:
    """A value that msgspec cannot check by itself. Each column has a class of its own, with one instance."""

    column: Column
    accepted: "CheckedCell"


def checked_type(column: Column) -> Any:
    """The type of the values that fit the column, for a decoder with `check_cell`."""
    if not column.read:
        return msgspec.Raw
    kind: Any = VALUE_TYPES[column.type]
    of_categories = {type(value) for value in column.categories or ()}
    if column.texts is not None or (of_categories and of_categories not in ({str}, {int})):
        kind = type("Cell", (CheckedCell,), {"column": column})
        kind.accepted = kind()
    elif column.categories is not None:
        kind = Literal[column.categories]
    elif column.type is ColumnType.INTEGER:
        low, high = whole_bounds(column.value_dtype)
        kind = Annotated[int, msgspec.Meta(ge=low, le=high)]
    elif column.type is ColumnType.NUMBER:
        bound = float_bound(column.value_dtype)
        kind = float if bound is None else Annotated[float, msgspec.Meta(gt=-bound, lt=bound)]
    return kind | None if column.nullable else kind


def check_cell(kind: type, value: Any) -> Any:
    """The decoding hook of msgspec: forgets the value. Raises ValueError, which msgspec reports as a mismatch."""
    if not issubclass(kind, CheckedCell):
        raise NotImplementedError(f"no hook for {kind}")
    for finding in column_findings(kind.column, value, ""):
        raise ValueError(finding.detail)
    return kind.accepted


def is_field_name(name: str) -> bool:
    """msgspec takes no field name that JSON must escape."""
    return json.dumps(name, ensure_ascii=False) == f'"{name}"'


def first_keys(rows: bytes, names: Sequence[str]) -> tuple[str, ...]:
    """The names in the order of the keys of the first row, if they are many and in another order; else empty.

    rows: a JSON list. msgspec looks for each key from the place of the last one on, so keys in another order than the
    fields of its type cost time in proportion to the square of their number.
    """
    if len(names) <= MANY_KEYS:
        return ()
    try:
        row = next(parse_items_leniently(rows.decode()), None)
    except (ValueError, RecursionError):
        return ()
    known = set(names)
    keys = tuple(key for key in row if key in known) if isinstance(row, dict) else ()
    return keys if len(keys) == len(names) and keys != tuple(names) else ()


def without_extra_columns(rows: bytes, known: Collection[str]) -> tuple[bytes, list[str]]:
    """The rows with these columns only, and the names of the others. rows: JSON, known to be a list.

    Of a repeated column, the last value stays. Memory holds one parsed row. Raises ValueError or RecursionError.
    """
    extra: dict[str, None] = {}
    kept = bytearray()
    for row, text in _items_with_text(rows.decode()):
        others = [name for name in row if name not in known] if isinstance(row, dict) else []
        extra.update(dict.fromkeys(others))
        if others:
            cells = _cells_decoder.decode(text)
            part = msgspec.json.encode({name: cell for name, cell in cells.items() if name in known})
        else:
            part = text.encode()
        kept += b"%b%b" % (b"," if kept else b"[", part)
    return bytes(kept or b"[") + b"]", list(extra)


def parse_leniently(text: str | bytes, **options: Any) -> Any:
    """JSON in which a number that is too long to hold becomes infinite. Raises ValueError or RecursionError."""
    return json.loads(text, parse_int=_parse_digits, **options)


def parse_items_leniently(text: str, **options: Any) -> Iterator[Any]:
    """The items of a JSON list as `parse_leniently` reads them, one at a time, so that memory holds only one of them.

    text: known to be JSON, for example because msgspec has accepted it. Raises ValueError or RecursionError.
    """
    for item, _ in _items_with_text(text, **options):
        yield item


def _items_with_text(text: str, **options: Any) -> Iterator[tuple[Any, str]]:
    decoder = json.JSONDecoder(parse_int=_parse_digits, **options)
    mark = _LIST_MARK.match(text)
    if mark is not None and mark[1] == "[" and text.startswith("]", mark.end()):
        return
    while mark is not None and mark[1] != "]":
        start = mark.end()
        item, end = decoder.raw_decode(text, start)
        yield item, text[start:end]
        mark = _LIST_MARK.match(text, end)
    if mark is None:
        raise ValueError("the text is not a JSON list")


def _parse_digits(digits: str) -> float:
    """A float has at most 309 digits before its point, and int() refuses more than 4,300."""
    return int(digits) if len(digits) < 400 else math.inf
