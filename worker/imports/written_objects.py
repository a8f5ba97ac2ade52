"""Writes rows that are dicts as files, to compare the answers that they get with those of the notebook."""

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from queuecast.domain.columns.object_rows import ObjectRows, ValueKind
from queuecast.domain.file_formats import FileFormat
from queuecast.tables.object_values import untyped_columns


def can_hold_object(fmt: FileFormat, objects: ObjectRows, row: dict[str, Any]) -> bool:
    """Whether a file of the format holds the row as it is: only NDJSON tells null from a key that is not there, and CSV
    has neither lists nor an empty word."""
    if fmt is FileFormat.NDJSON:
        return True
    if not row:  # a line without a cell is blank
        return False
    is_null_known = ValueKind.NULL not in objects.all_kinds
    if fmt is FileFormat.PARQUET:
        return is_null_known and None not in row.values()
    is_typed = next(untyped_columns(list(row), objects), None) is None
    return is_typed and is_null_known and not any(value is None or value == "" for value in row.values())


def write_objects(path: Path, fmt: FileFormat, rows: list[dict[str, Any]]) -> bool:
    """Whether the format can hold the rows: a column of Parquet has one type."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    if fmt is FileFormat.CSV:
        pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}).to_csv(
            path, index=False, quoting=csv.QUOTE_NONNUMERIC
        )
        return True
    with suppress(pa.ArrowException):
        pyarrow.parquet.write_table(pa.table(columns), path)
        return True
    return False
