"""The values of rows that are objects with any keys: as a type for msgspec, and in the cells of a CSV file.

A cell of CSV has no type, and a vectorizer of dicts treats a word and a number differently. So a cell is what the
values of its key were at the fit, and a column whose values were of several kinds is refused, as is one that the fit
did not have. An empty cell is a key that the row does not have.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any

import msgspec

from queuecast.domain.columns.object_rows import MAX_KEYS, KnownKey, ObjectRows, ValueKind
from queuecast.domain.errors import Finding, shortened
from queuecast.tables.cells import MISSING_WORDS, parse_boolean, parse_number
from queuecast.tables.text_column import is_index

_TYPES: dict[ValueKind, Any] = {
    ValueKind.STRING: str,
    ValueKind.NUMBER: float,
    ValueKind.BOOLEAN: bool,
    ValueKind.NULL: None,
    ValueKind.WORDS: Annotated[list[str], msgspec.Meta(max_length=MAX_KEYS)],
}
NO_KEY = object()
"""Stands for the value of an empty cell."""


def object_type(objects: ObjectRows) -> tuple[Any, bool]:
    """The type of a row, and whether it refuses every value that `ObjectRows.findings` does."""
    kinds = [kind for kind in ValueKind if kind in objects.all_kinds]
    value: Any = None
    for at, kind in enumerate(kinds):
        value = _TYPES[kind] if at == 0 else value | _TYPES[kind]
    row = Annotated[dict[str, value], msgspec.Meta(max_length=MAX_KEYS)]
    return row, set(kinds) == set(objects.kinds)


def key_columns(names: Sequence[str], objects: ObjectRows, extra: Collection[str] = ()) -> list[str]:
    """The columns of a file that are keys of its rows. extra: columns that are not, such as an id or a target."""
    return [name for name in names if name not in extra and (not is_index(name) or objects.key(name) is not None)]


def untyped_columns(names: Sequence[str], objects: ObjectRows, extra: Collection[str] = ()) -> Iterator[Finding]:
    """The columns of a CSV file whose cells could mean a word or a number."""
    way_out = "send NDJSON or Parquet, which have types"
    for name in key_columns(names, objects, extra):
        key, shown = objects.key(name), shortened(repr(name))
        if key is None:
            detail = f"the column {shown} is no key of the fit, so its cells may be words or numbers; {way_out}"
            yield Finding("", "unknown_column", detail, column=name)
        elif _kind_of_cells(key) is None:
            kinds = " and ".join(kind for kind in key.kinds if kind is not ValueKind.NULL) or "null"
            detail = f"the key {shown} had values of the kind {kinds} at the fit, which a cell does not show; {way_out}"
            yield Finding("", "unsupported_column", detail, column=name)


def cell_value(objects: ObjectRows, key: KnownKey, cell: str | None) -> Any:
    """The value of a CSV cell, NO_KEY for an empty one. Raises ValueError with the code of the finding."""
    kind = _kind_of_cells(key)
    if not cell or (kind is not ValueKind.STRING and cell in MISSING_WORDS):
        return empty_value(objects, key)
    if kind is ValueKind.STRING:
        return cell
    number = parse_number(cell) if kind is ValueKind.NUMBER else None
    value = parse_boolean(cell) if number is None and ValueKind.BOOLEAN in key.kinds else number
    if value is None:
        raise ValueError("wrong_type")
    return value


def empty_value(objects: ObjectRows, key: KnownKey | None) -> Any:
    """A cell without a value means that the row lacks the key. If the estimator answers null at the key, and every row
    of the fit had the key, it is null. Raises ValueError if it may be either."""
    if ValueKind.NULL not in (objects.kinds if key is None else objects.kinds_of(key.name)):
        return NO_KEY
    if key is not None and key.is_always:
        return None
    raise ValueError("null")


def _kind_of_cells(key: KnownKey) -> ValueKind | None:
    """NUMBER for numbers and booleans, which are the same to a vectorizer; None if the kind is not known."""
    kinds = {kind for kind in key.kinds if kind is not ValueKind.NULL}
    if kinds == {ValueKind.STRING}:
        return ValueKind.STRING
    if kinds == {ValueKind.BOOLEAN}:
        return ValueKind.BOOLEAN
    return ValueKind.NUMBER if kinds and kinds <= {ValueKind.NUMBER, ValueKind.BOOLEAN} else None
