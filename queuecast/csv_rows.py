"""Rows in a file or on standard input, as the JSON rows that a model takes.

A CSV cell has no type: the model's schema gives it one, and where there is none its looks do. What ends a line or a
record is what the worker takes for it in a batch's file: `str.splitlines` knows ten characters more.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

_INTEGER = re.compile(r"[+-]?\d+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_WORDS = {"true": True, "false": False, "nan": None}


def parsed_json_rows(text: str) -> list[Any]:
    """The rows in a JSON list. Raises ValueError when the text is no list of objects or lists."""
    try:
        rows = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"the rows are not JSON: {error}") from error
    if isinstance(rows, dict):
        raise ValueError("the rows are one JSON object, expected a list of them: [{...}]")  # noqa: TRY004
    if not isinstance(rows, list) or not all(isinstance(row, dict | list) for row in rows):
        raise ValueError("the rows are not a JSON list of objects or lists")
    return rows


def is_ndjson(text: str) -> bool:
    """Whether the first line is JSON by itself, and not the last."""
    first, _, others = text.strip().partition("\n")
    try:
        msgspec.json.decode(first)
    except msgspec.DecodeError:
        return False
    return bool(others)


def parsed_ndjson_rows(text: str) -> list[Any]:
    """The rows of a file with one object or list a line. Raises ValueError with the line of what is neither."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(msgspec.json.decode(line, type=dict[str, Any] | list[Any]))
            except msgspec.MsgspecError as error:
                raise ValueError(f"line {number} is not a JSON object or list: {error}") from error
    return rows


def parsed_csv_rows(text: str, schema: dict[str, Any] | None) -> tuple[list[Any], list[str]]:
    """The rows of a CSV file with a header, and the names of the columns that the model does not take.

    schema: JSON Schema of one row. An object gives dicts without the unknown columns; an array gives lists in
    the file's order, and then a header is optional; None gives dicts of all columns, typed by their looks.
    An empty cell is null. A cell that does not fit its column's type stays text, for the gateway to point at.
    Raises ValueError with the line of a row that is not as long as the header, or cannot be read.
    """
    records = _records(text)
    _, header = next(records, (0, []))
    if schema is not None and schema.get("type") == "array":
        types = [_types(column) for column in schema.get("prefixItems", [])][: len(header)]
        first = [] if not all(_NUMBER.fullmatch(cell.strip()) for cell in header) else [(1, header)]
        rows = [*first, *_as_long_as(header, records)] if header else []
        types += [set()] * (len(header) - len(types))  # too many columns; the gateway says how many it wants
        return [[_cell(text, kind) for text, kind in zip(row, types, strict=True)] for _, row in rows], []
    columns = None if schema is None else schema.get("properties", {})
    known = [(place, name) for place, name in enumerate(header) if columns is None or name in columns]
    kinds = {name: set() if columns is None else _types(columns[name]) for _, name in known}
    found = [{name: _cell(row[place], kinds[name]) for place, name in known} for _, row in _as_long_as(header, records)]
    return found, [name for name in header if name not in kinds]


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))  # a line break in a quoted cell stays what it is
    try:
        for record in reader:
            if record:
                yield reader.line_num, record
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} cannot be read as CSV: {error}") from None


def _as_long_as(header: list[str], records: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    for line, record in records:
        if len(record) != len(header):
            raise ValueError(f"line {line} has {len(record)} cells, expected {len(header)} as in the header")
        yield line, record


def _types(column: dict[str, Any]) -> set[str]:
    kind = column.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


def _cell(text: str, types: set[str]) -> Any:
    """types: what the schema allows, empty where nothing is known."""
    if text == "":
        return None
    if "string" in types and not types & {"number", "integer", "boolean"}:
        return text
    bare = text.strip()
    if bare.lower() in _WORDS and (types or bare.lower() != "nan"):
        return _WORDS[bare.lower()]
    if _INTEGER.fullmatch(bare):
        return int(bare)
    if not _NUMBER.fullmatch(bare):
        return text
    number = float(bare)
    # pandas writes a column of whole numbers with gaps as 3.0, and the gateway takes 3 only.
    return int(number) if "integer" in types and number.is_integer() else number
