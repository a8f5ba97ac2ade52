"""Reads one range of a table: the frame of its good rows for the estimator, and a reason for each bad row.

The frame is the one that `worker.models.frames.frame_of` builds from the same rows sent as JSON, so a row gets the same
prediction either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Layout, Signature
from worker.tables.checked_columns import build_frame
from worker.tables.csv_reader import read_csv_rows
from worker.tables.faults import bad_rows, bad_rows_mask, cell_faults
from worker.tables.ndjson_reader import read_ndjson_rows
from worker.tables.parquet_reader import read_parquet_rows
from worker.tables.rows import BadRow, Rows
from worker.tables.without_columns.object_reader import read_object_rows

_READERS: dict[FileFormat, Callable[[Path, Signature, FileRange, Sequence[str]], Rows]] = {
    FileFormat.CSV: read_csv_rows,
    FileFormat.PARQUET: read_parquet_rows,
}


@dataclass(frozen=True, slots=True)
class ReadRange:
    """frame, row_numbers ((n,) int64, counted from 1) and ids belong to the good rows. ids: a pyarrow array; text if
    they come from a CSV file, which has no types. bad_rows: in order. n_rows: good and bad."""

    frame: Any
    row_numbers: Any
    ids: Any
    bad_rows: list[BadRow]
    n_rows: int


def read_range(
    path: Path,
    fmt: FileFormat,
    signature: Signature,
    file_range: FileRange,
    id_column: str | None = None,
    extra_columns: ExtraColumns = ExtraColumns.IGNORE,
) -> ReadRange:
    """Raises InvalidInputError if the file does not have a column, or is not the one that was split."""
    rows = read_rows(path, fmt, signature, file_range, [] if id_column is None else [id_column], extra_columns)
    arrays = [column.values for column in rows.columns]
    numbers = rows.row_numbers
    ids = None if id_column is None else rows.extra[id_column]
    faults = cell_faults(rows)
    is_bad = bad_rows_mask(faults)
    if is_bad is not None:
        is_good = pa.array(~is_bad)
        arrays = [values.filter(is_good) for values in arrays]
        numbers = numbers[~is_bad]
        ids = ids.filter(is_good) if ids is not None else None
    return ReadRange(
        build_frame(signature.of_read_columns(), arrays), numbers, ids, bad_rows(rows, faults), file_range.n_rows
    )


def read_rows(
    path: Path,
    fmt: FileFormat,
    signature: Signature,
    file_range: FileRange,
    extra: Sequence[str] = (),
    extra_columns: ExtraColumns = ExtraColumns.IGNORE,
) -> Rows:
    """All rows of the range with the faults of their cells. extra: columns outside the signature, such as a target.

    extra_columns: whether a row of NDJSON may have columns that are in neither. Other formats have them in the header.
    """
    if signature.layout is Layout.OBJECT:
        return read_object_rows(path, fmt, signature, file_range, extra)
    reading = signature.of_read_columns()
    if fmt is FileFormat.NDJSON:
        unread = [column.name for column in signature.columns if not column.read]
        return read_ndjson_rows(path, reading, file_range, extra, extra_columns, unread)
    return _READERS[fmt](path, reading, file_range, extra)
