"""Parses CSV, JSON and NDJSON text into the JSON rows that a model takes, and reads the head of a CSV file.

A CSV cell has no type: the model's schema gives it one, and `queuecast.tables.cells` its meaning, so that a row gets
the same answer as in a batch. For the same reason lines and records end where the worker ends them, although
`str.splitlines` knows more line breaks.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec

from queuecast.client.ignored_columns import ignored_columns_text
from queuecast.client.row_formats.table_files import PARQUET_START
from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns, extra_columns_refusal
from queuecast.domain.columns.labels import numbered
from queuecast.domain.columns.object_rows import ObjectRows, objects_of_schema
from queuecast.domain.findings.bounds import and_more
from queuecast.tables.cells import MISSING_WORDS, parse_boolean, parse_integer, parse_number, words_for_missing
from queuecast.tables.column_names import (
    by_place,
    duplicate_names,
    header_names,
    named_or_in_order,
    nameless_column,
    separator_hint,
    wrong_features,
)
from queuecast.tables.object_values import NO_KEY, cell_value, key_columns, untyped_columns
from queuecast.tables.text_column import lacks_text_column, text_column

MAX_CSV_ROWS = 50_000  # column types come from these rows, and a fraction or a missing cell may come late


def parsed_json_rows(text: str) -> list[Any]:
    """The rows in a JSON list. Raises ValueError when the text is no list of objects, lists or texts."""
    try:
        rows = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueError(f"the rows are not JSON: {error}") from error
    if isinstance(rows, dict):
        raise ValueError("the rows are one JSON object, expected a list of them: [{...}]")  # noqa: TRY004
    if not isinstance(rows, list) or not all(isinstance(row, dict | list | str) for row in rows):
        raise ValueError("the rows are not a JSON list of objects, lists or texts")
    return rows


def is_ndjson(text: str) -> bool:
    """Whether the first of several lines is JSON by itself."""
    first, _, rest = text.strip().partition("\n")
    try:
        msgspec.json.decode(first)
    except msgspec.DecodeError:
        return False
    return bool(rest)


def parsed_ndjson_rows(text: str) -> list[Any]:
    """The rows of a file with an object, list or text per line. Raises ValueError with the number of another line."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"line {number} is not a JSON object, list or text: {error}") from error
            if not isinstance(row, dict | list | str):
                raise ValueError(f"line {number} is not a JSON object, list or text")
            rows.append(row)
    return rows


def text_lines(text: str) -> list[str]:
    """The lines that are not empty, each a row of a model whose rows are texts."""
    return [line for line in (line.removesuffix("\r") for line in text.split("\n")) if line]


def parsed_csv_rows(
    text: str, schema: dict[str, Any] | None, extra_columns: str | None = None
) -> tuple[list[Any], list[str]]:
    """The rows of a CSV file with a header, and notes for the user.

    schema: JSON Schema of one row. An object gives dicts, an array gives lists, a string gives the texts of one column;
    None leaves every cell as text. A cell that does not fit its column's type stays text, so that the gateway reports
    it.
    Of columns that the model does not have, the first row has the names, with null, and the gateway ignores or refuses
    them. Lists have no names, so they are left out here, or refused if extra_columns is "refuse".
    Raises ValueError with the line of a row that is longer or shorter than the header, or cannot be read.
    """
    records = _records(text)
    _, cells = next(records, (0, []))
    header = header_names(cells)
    require_each_once(header)
    rows = (row for _, row in _as_long_as(header, records))
    if schema is None:
        return [dict(zip(header, row, strict=True)) for row in rows], []
    if "x-column" in schema:
        return _texts(header, rows, schema, extra_columns)
    if "x-always" in schema:
        return _dicts(header, rows, objects_of_schema(schema)), []
    if _goes_by_place(header, schema):
        positions, notes = _column_positions(header, schema["prefixItems"], extra_columns)
        columns = [_CellRule.of(column) for column in schema["prefixItems"]]
        return [[rule.value(row[at]) for at, rule in zip(positions, columns, strict=True)] for row in rows], notes
    columns = schema.get("properties", {})
    hint = separator_hint(header)
    if hint and header[0] not in columns:
        raise ValueError(f"the file has {header[0]!r} as its only column{hint}")
    nameless = nameless_column("", header) if "" in columns else None
    header = ["" if name == nameless else name for name in header]
    known = [
        (at, name, _CellRule.of(columns[name]))
        for at, name in enumerate(header)
        if name in columns and "x-unread" not in columns[name]
    ]
    inputs = [{name: rule.value(row[at]) for at, name, rule in known} for row in rows]
    if inputs:
        inputs[0] |= dict.fromkeys(name for name in header if name not in columns)
    return inputs, []


def _texts(
    header: list[str], rows: Iterator[list[str]], schema: dict[str, Any], extra_columns: str | None
) -> tuple[list[Any], list[str]]:
    name = text_column(header, schema["x-column"])
    if name is None:
        raise ValueError(lacks_text_column(schema["x-column"]).detail)
    at, rule = header.index(name), _CellRule.of(schema)
    return [rule.value(row[at]) for row in rows], _left_out([other for other in header if other != name], extra_columns)


def _dicts(header: list[str], rows: Iterator[list[str]], objects: ObjectRows) -> list[Any]:
    """A cell of another type cannot stay text for the gateway to report: it would be a word."""
    for finding in untyped_columns(header, objects):
        raise ValueError(finding.detail)
    keys = [(header.index(name), name, objects.key(name)) for name in key_columns(header, objects)]
    dicts = []
    for number, row in enumerate(rows, start=1):
        values: dict[str, Any] = {}
        for at, name, key in keys:
            try:
                values[name] = cell_value(objects, key, row[at]) if key is not None else NO_KEY
            except ValueError:
                found = repr(row[at]) if row[at] else "an empty cell, which may mean null or no value"
                kinds = " or ".join(key.kinds if key is not None else ())
                raise ValueError(f"row {number}, column {name!r}: found {found}, expected {kinds}") from None
        dicts.append({name: value for name, value in values.items() if value is not NO_KEY})
    return dicts


def _goes_by_place(header: list[str], schema: dict[str, Any]) -> bool:
    """Whether the columns are found by their place, as in `queuecast.tables.column_names`."""
    if "prefixItems" not in schema or set(header).issuperset(schema.get("properties", [""])):
        return False
    names = list(schema.get("properties", []))
    return not names or names == numbered(len(names), "") or by_place(header, names)


def csv_head(path: Path) -> bytes:
    """The header and the first MAX_CSV_ROWS records of a CSV file, or fewer of a wide one, byte for byte.

    Raises ValueError for another kind of file, or for a duplicate column.
    """
    lines: list[str] = []
    # latin-1 maps each byte to one character, so that counting records needs no guess at the encoding.
    with path.open(encoding="latin-1", newline="") as file:
        if file.read(len(PARQUET_START)).encode("latin-1") == PARQUET_START:
            way_out = f"pandas.read_parquet({str(path)!r}).to_csv({str(path.with_suffix('.csv'))!r}, index=False)"
            raise ValueError(f"{path} is a Parquet file, expected CSV: {way_out}")
        file.seek(0)
        records = csv.reader(_recorded(file, lines))
        try:
            header = next(records, [])
            for _ in islice(records, min(MAX_CSV_ROWS, 10_000_000 // max(len(header), 1))):
                pass
        except csv.Error as error:
            raise ValueError(f"line {records.line_num} of {path} cannot be read as CSV: {error}") from None
    require_each_once(header_names([name.encode("latin-1").decode("utf-8-sig", "replace") for name in header]))
    return "".join(lines).encode("latin-1")


def require_each_once(names: list[str]) -> None:
    """Raises ValueError for columns that hide the values of another one of the same name."""
    duplicates = duplicate_names(names)
    if duplicates:
        raise ValueError(duplicates[0].detail + and_more(len(duplicates) - 1))


def _recorded(source: Iterable[str], lines: list[str]) -> Iterator[str]:
    for line in source:
        lines.append(line)
        yield line


def _column_positions(header: list[str], columns: list[Any], extra_columns: str | None) -> tuple[list[int], list[str]]:
    """The position in the file of each column of a model that was fitted without names."""
    wanted = numbered(len(columns))
    sources = named_or_in_order(header, wanted)
    mismatch = wrong_features(sources, header, wanted)
    if mismatch is not None:
        raise ValueError(mismatch.detail)
    if sources == wanted:
        places = {name: place for place, name in enumerate(header)}
        taken = set(wanted)
        return [places[name] for name in wanted], _left_out(
            [name for name in header if name not in taken], extra_columns
        )
    is_numbered = header == [str(index) for index in range(len(header))]  # the header that pandas gives an array
    is_row = not is_numbered and all(parse_number(cell) is not None for cell in header)
    return list(range(len(header))), [f"the first line was read as column names: {','.join(header)}"] if is_row else []


def _left_out(names: list[str], extra_columns: str | None) -> list[str]:
    if names and extra_columns == ExtraColumns.REFUSE:
        raise ValueError(extra_columns_refusal("", names).detail)
    ignored = IgnoredColumns.of(names)
    text = ignored and ignored_columns_text({"ignored_columns": asdict(ignored)})
    return [text] if text else []


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))  # keeps a line break in a quoted cell
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


@dataclass(frozen=True, slots=True)
class _CellRule:
    """Reads the cells of one column as `worker.tables.text_cells` does."""

    types: frozenset[str]
    missing: frozenset[str]

    @classmethod
    def of(cls, column: dict[str, Any]) -> Self:
        """column: its JSON Schema. `x-words` and `enum` have the words that the estimator knows as values."""
        kind = column.get("type", [])
        types = frozenset([kind] if isinstance(kind, str) else kind)
        words: tuple[str, ...] = MISSING_WORDS
        if "string" in types and "format" not in column:  # a text with a format is a date, a time or a decimal
            known = [*column.get("x-words", ()), *column.get("enum", ())]
            words = words_for_missing(known, may_be_missing="null" in types)
        return cls(types, frozenset(("", *words)))

    def value(self, cell: str) -> Any:
        if cell in self.missing:
            return None
        if "boolean" in self.types:
            value: Any = parse_boolean(cell)
        elif "string" in self.types:
            value = cell
        else:
            value = parse_integer(cell) if "integer" in self.types else parse_number(cell)
        return cell if value is None else value
