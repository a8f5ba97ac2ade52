"""Writes the parts of a batch's result and joins them. Writing a part again gives the same bytes.

A part has every good row in the order of the input: `row`, the id column if there is one, the output columns. Floats
are written with the fewest digits that read back to the same number.

Text in a CSV file that a spreadsheet would read as a formula (it begins with = + - @, a tab or a carriage return)
gets a ' in front, as OWASP advises ("CSV Injection"). A number does not. The other formats hold all text unchanged.
"""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from queuecast.domain.file_formats import OutputFormat
from queuecast.tables.json_values import is_field_name
from worker.file_writing import atomic_write
from worker.tables.id_values import to_json_values
from worker.tables.ndjson_reader import json_as_text
from worker.tables.reader import ReadRange
from worker.tables.record_scanner import first_record
from worker.tables.rows import BadRow

_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_BETWEEN_OBJECTS = b",\n"


def write_part(
    path: Path, output_format: OutputFormat, read: ReadRange, columns: dict[str, Any], id_column: str | None = None
) -> None:
    """columns: the output for the good rows (`output_columns`); without rows and columns the part is empty.

    An id column with the name of an output column, or `row`, is written as `id_{name}`.
    """
    needs_text = output_format in (OutputFormat.CSV, OutputFormat.PARQUET)
    ids = json_as_text(read.ids) if needs_text and read.ids is not None else read.ids
    table = _table(replace(read, ids=ids), columns, id_column) if columns or len(read.row_numbers) else None
    with atomic_write(path) as file:
        if output_format is OutputFormat.PARQUET:
            pq.write_table(table if table is not None else pa.table({}), file)
        elif table is not None and output_format is OutputFormat.CSV:
            _write_csv(table, file)
        elif table is not None:
            file.write(_json_objects(table, b"\n" if output_format is OutputFormat.NDJSON else _BETWEEN_OBJECTS))


def join_parts(parts: list[Path], target: Path, output_format: OutputFormat) -> None:
    """Writes one file with the rows of all parts in their order, a block at a time. The parts stay on the disk."""
    filled = parts if output_format is OutputFormat.PARQUET else [part for part in parts if part.stat().st_size]
    with atomic_write(target) as joined:
        if output_format is OutputFormat.PARQUET:
            _join_parquet(filled, joined)
        elif output_format is OutputFormat.CSV:
            _join_csv(filled, joined)
        elif output_format is OutputFormat.JSON:
            joined.write(b"[")
            for index, part in enumerate(filled):
                joined.write(_BETWEEN_OBJECTS if index else b"\n")
                _copy(part, joined)
            joined.write(b"\n]\n" if filled else b"]\n")
        else:
            for part in filled:
                _copy(part, joined)


def write_bad_rows(path: Path, bad_rows: Iterable[BadRow]) -> None:
    encoder = msgspec.json.Encoder()
    with atomic_write(path) as file:
        for bad in bad_rows:
            file.write(encoder.encode(bad.as_json()) + b"\n")


def join_bad_rows(parts: list[Path], target: Path) -> int:
    """Returns the number of bad rows."""
    count = 0
    with atomic_write(target) as joined:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(2**20):
                    count += block.count(b"\n")
                    joined.write(block)
    return count


def _table(read: ReadRange, columns: dict[str, Any], id_column: str | None) -> Any:
    arrays: dict[str, Any] = {"row": pa.array(read.row_numbers)}
    if id_column is not None and read.ids is not None:
        arrays[f"id_{id_column}" if id_column == "row" or id_column in columns else id_column] = read.ids
    return pa.table(arrays | {name: _array(values) for name, values in columns.items()})


def _array(values: Any) -> Any:
    if values.dtype.kind != "O":
        return pa.array(np.ascontiguousarray(values))
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # labels of several kinds
        return pa.array([str(value) for value in values], pa.string())


def _write_csv(table: Any, file: IO[bytes]) -> None:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            table = table.set_column(index, field, _without_formulas(table.column(index)))
    # A tenth faster than with the default of 1024 rows.
    pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(batch_size=2**16))


def _without_formulas(text: Any) -> Any:
    is_formula = pc.match_substring_regex(text, _FORMULA)
    if not pc.any(is_formula).as_py():
        return text
    is_formula = pc.and_not(is_formula, pc.match_substring_regex(text, _NUMBER))
    quoted = pc.binary_join_element_wise(pa.scalar("'", text.type), text, pa.scalar("", text.type))
    return pc.if_else(is_formula, quoted, text)


def _json_objects(table: Any, between: bytes) -> bytes:
    """NaN becomes null, because JSON has no NaN."""
    names = table.column_names
    values = [_json_values(column) for column in table.columns]
    if all(map(is_field_name, names)):
        fields = [(f"f{index}", Any) for index in range(len(names))]
        renamed = {f"f{index}": name for index, name in enumerate(names)}
        row: Any = msgspec.defstruct("Row", fields, rename=renamed, gc=False)
        rows = list(map(row, *values))
    else:
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    lines = msgspec.json.Encoder().encode_lines(rows)
    # A newline can only be between objects: JSON strings escape it.
    return lines if between == b"\n" else lines[:-1].replace(b"\n", between)


def _json_values(column: Any) -> list[Any]:
    if isinstance(column.type, pa.JsonType):
        return [None if each is None else msgspec.Raw(each) for each in column.to_pylist()]
    return to_json_values(column)


def _join_csv(parts: list[Path], joined: IO[bytes]) -> None:
    if not parts:
        joined.write(b'"row"\n')
    for index, part in enumerate(parts):
        _copy(part, joined, start=first_record(part)[1] if index else 0)


def _join_parquet(parts: list[Path], joined: IO[bytes]) -> None:
    """Ids or labels whose types differ between parts become text."""
    schemas = [pq.read_schema(part) for part in parts]
    schemas = [schema for schema in schemas if len(schema)]
    if not schemas:
        pq.write_table(pa.table({"row": pa.array([], pa.int64())}), joined)
        return
    fields = [_common(name, [schema.field(name).type for schema in schemas]) for name in schemas[0].names]
    with pq.ParquetWriter(joined, pa.schema(fields)) as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for group in range(file.num_row_groups if len(file.schema_arrow) else 0):
                    writer.write_table(file.read_row_group(group).cast(writer.schema))


def _common(name: str, kinds: list[Any]) -> Any:
    known = {kind for kind in kinds if not pa.types.is_null(kind)}
    return pa.field(name, known.pop() if len(known) == 1 else pa.string() if known else pa.null())


def _copy(part: Path, joined: IO[bytes], start: int = 0) -> None:
    with part.open("rb") as file:
        file.seek(start)
        shutil.copyfileobj(file, joined, 2**20)
