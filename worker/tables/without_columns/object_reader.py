"""Reads one range of a file whose rows are objects with any keys, for an estimator that was fitted on dicts.

The keys are those of an NDJSON object, or the columns of a CSV or Parquet file; a Parquet file may also have one column
of structs or maps. `queuecast.tables.object_values` says what a cell means.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.object_rows import ObjectRows
from queuecast.domain.errors import Finding, InvalidInputError, mismatch, shortened
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.signature import Column, Signature
from queuecast.tables.json_values import NOT_JSON, parse_leniently
from queuecast.tables.object_values import NO_KEY, cell_value, empty_value, key_columns, untyped_columns
from worker.models.columns.typed_columns import ARROW_TYPES
from worker.tables.checked_columns import CheckedColumn
from worker.tables.csv_reader import split_cells
from worker.tables.file_columns import column_names, require_first_keys, require_names
from worker.tables.file_ranges import numbered_lines, read_bytes
from worker.tables.id_values import to_id_values
from worker.tables.ndjson_reader import raw_values, unchecked_array
from worker.tables.parquet_files import open_parquet, require_types, value_type
from worker.tables.parquet_reader import read_arrays
from worker.tables.rows import BadRow, Rows, number_rows

Cells = list[Any]
"""The values of one column, NO_KEY where a row lacks it, a Finding where a cell is wrong."""

_encoder = msgspec.json.Encoder()


def read_object_rows(
    path: Path, fmt: FileFormat, signature: Signature, file_range: FileRange, extra: Sequence[str] = ()
) -> Rows:
    """extra: keys or columns that are no part of the rows."""
    (column,) = signature.columns
    if fmt is FileFormat.NDJSON:
        return _read_ndjson(path, column, file_range, extra)
    if fmt is FileFormat.CSV:
        names = column_names(path, fmt)
        require_names(names, extra)
        require_typed(names, signature.objects, extra)
        data = read_bytes(path, file_range)
        keys = key_columns(names, signature.objects, extra)
        table, unreadable = split_cells(data, names, list(dict.fromkeys([*keys, *extra])), file_range)
        cells = {name: _csv_cells(signature.objects, name, table[name]) for name in keys}
        return _rows_of_cells(column, cells, {name: table[name] for name in extra}, file_range, unreadable)
    arrays, unreadable = read_arrays(path, file_range, extra)
    keys = key_columns(list(arrays), signature.objects, extra)
    others = {name: to_id_values(arrays[name]) for name in extra}
    nested = _nested_column(arrays, keys)
    if nested is not None:
        cells = _nested_cells(signature.objects, arrays[nested])
    else:
        cells = {name: _parquet_cells(signature.objects, name, arrays[name]) for name in keys}
    return _rows_of_cells(column, cells, others, file_range, unreadable)


def require_keys(path: Path, fmt: FileFormat, signature: Signature, id_column: str | None = None) -> None:
    """Raises InvalidInputError for a file without the id column, or with cells of a type that is not known or taken."""
    extra = [] if id_column is None else [id_column]
    names = [] if fmt is FileFormat.NDJSON else column_names(path, fmt)
    if fmt is FileFormat.NDJSON:
        require_first_keys(path, extra, signature)
    else:
        require_names(names, extra)
    if fmt is FileFormat.CSV:
        require_typed(names, signature.objects, extra)
    elif fmt is FileFormat.PARQUET:
        require_types(path, {}, id_column)
        with open_parquet(path) as parquet:
            schema = parquet.schema_arrow
        for name in key_columns(names, signature.objects, extra):
            _require_readable(name, schema.field(name).type)


def require_typed(names: Sequence[str], objects: ObjectRows, extra: Sequence[str]) -> None:
    """Raises InvalidInputError for columns of a CSV file whose cells could mean words or numbers."""
    untyped = first_findings(untyped_columns(names, objects, extra))
    if untyped.total:
        raise untyped.refusal()


def _read_ndjson(path: Path, column: Column, file_range: FileRange, extra: Sequence[str]) -> Rows:
    objects = column.objects or ObjectRows()
    data = read_bytes(path, file_range)
    rows: list[dict[str, Any]] = []
    good_lines: list[bytes] = []
    values: dict[str, list[Any]] = {name: [] for name in extra}
    bad: list[BadRow] = []
    for number, line in numbered_lines(data, file_range):
        row = _parsed(line, number)
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        own = {name: row.pop(name, None) for name in extra} if isinstance(row, dict) else {}
        faults = first_findings(objects.findings(row, ""))
        if faults.total:
            bad.append(BadRow.of_cells(number, faults.first, faults.total))
            continue
        rows.append(row)
        good_lines.append(line)
        for name, value in own.items():
            values[name].append(value)
    joined = b"\n".join(good_lines)
    arrays = {name: unchecked_array(values[name], partial(raw_values, name, joined)) for name in extra}
    return _rows(column, rows, arrays, number_rows(file_range.first_row, file_range.n_rows, bad), bad)


def _parsed(line: bytes, number: int) -> Any:
    try:
        return msgspec.json.decode(line)
    except NOT_JSON:
        try:
            return parse_leniently(line)  # a number that is too large is a fault of its key
        except (ValueError, RecursionError) as error:
            return BadRow.not_json(number, error)


def _csv_cells(objects: ObjectRows, name: str, texts: Any) -> Cells:
    key = objects.key(name)
    if key is None:
        raise InvalidInputError(f"the column {name!r} is no key of the fit")
    return [_read_cell(objects, name, text, lambda text: cell_value(objects, key, text)) for text in texts.to_pylist()]


def _parquet_cells(objects: ObjectRows, name: str, values: Any) -> Cells:
    _require_readable(name, values.type)
    key = objects.key(name)

    def read(value: Any) -> Any:
        is_nan = isinstance(value, float) and value != value  # noqa: PLR0124 - only NaN differs from itself
        if value is None or is_nan:
            return empty_value(objects, key)
        return _checked(objects, name, value)

    return [_read_cell(objects, name, value, read) for value in values.to_pylist()]


def _nested_cells(objects: ObjectRows, values: Any) -> dict[str, Cells]:
    """The cells of a column of structs, whose missing fields are null, or of maps, which have their own keys."""
    is_map = pa.types.is_map(values.type)
    rows = [dict(row or ()) for row in values.to_pylist()]
    names = dict.fromkeys(name for row in rows for name in row)
    cells: dict[str, Cells] = {}
    for name in names:
        key = objects.key(name)

        def read(value: Any, name: str = name, key: Any = key) -> Any:
            return empty_value(objects, key) if value is None and not is_map else _checked(objects, name, value)

        cells[name] = [_read_cell(objects, name, row[name], read) if name in row else NO_KEY for row in rows]
    return cells


def _checked(objects: ObjectRows, name: str, value: Any) -> Any:
    for finding in objects.findings({name: value}, ""):
        return finding
    return value


def _read_cell(objects: ObjectRows, name: str, cell: Any, read: Callable[[Any], Any]) -> Any:
    try:
        return read(cell)
    except ValueError as error:
        code = str(error)
        found = "an empty cell" if code == "null" else shortened(repr(cell))
        if code == "null":
            expected = "a value: an empty cell may mean null or that the row lacks the key, which NDJSON tells apart"
        else:
            expected = " or ".join(kind for kind in objects.kinds_of(name) if kind != "string")
        return mismatch("", code, found, expected, name)


def _rows_of_cells(
    column: Column, cells: dict[str, Cells], extra: dict[str, Any], file_range: FileRange, unreadable: list[BadRow]
) -> Rows:
    numbers = number_rows(file_range.first_row, file_range.n_rows, unreadable)
    rows: list[dict[str, Any]] = []
    bad = list(unreadable)
    is_good = np.ones(len(numbers), dtype=bool)
    for at, values in enumerate(_each_row(cells, len(numbers))):
        faults = [value for value in values if isinstance(value, Finding)]
        if faults:
            is_good[at] = False
            bad.append(BadRow.of_cells(int(numbers[at]), faults, len(faults)))
        else:
            rows.append({name: value for name, value in zip(cells, values, strict=True) if value is not NO_KEY})
    if not is_good.all():
        extra = {name: values.filter(pa.array(is_good)) for name, values in extra.items()}
    return _rows(column, rows, extra, numbers[is_good], sorted(bad, key=lambda row: row.row))


def _each_row(cells: dict[str, Cells], n_rows: int) -> Iterator[tuple[Any, ...]]:
    return zip(*cells.values(), strict=True) if cells else iter([()] * n_rows)


def _rows(column: Column, rows: list[dict[str, Any]], extra: dict[str, Any], numbers: Any, bad: list[BadRow]) -> Rows:
    """The rows travel as JSON, in the only column of the signature."""
    values = pa.array([_encoder.encode(row).decode() for row in rows], ARROW_TYPES[column.type])
    return Rows([CheckedColumn(column, values, {}, values)], extra, numbers, bad)


def _nested_column(arrays: dict[str, Any], keys: Sequence[str]) -> str | None:
    is_nested = len(keys) == 1 and (pa.types.is_struct(arrays[keys[0]].type) or pa.types.is_map(arrays[keys[0]].type))
    return keys[0] if is_nested else None


def _require_readable(name: str, kind: Any) -> None:
    inner = value_type(kind)
    is_list = pa.types.is_list(inner) or pa.types.is_large_list(inner)
    words = inner.value_type if is_list else inner
    is_words = pa.types.is_string(words) or pa.types.is_large_string(words) or pa.types.is_string_view(words)
    is_plain = pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_boolean(inner)
    if not (is_words or is_plain or pa.types.is_null(inner) or pa.types.is_struct(inner) or pa.types.is_map(inner)):
        raise InvalidInputError(
            f"column {name!r} of the file holds {kind}, expected strings, numbers, booleans or lists of strings"
        )
