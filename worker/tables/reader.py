"""One cut of a table -> the frame that the estimator was fitted on, of the good rows, and a word on each bad one.

The frame is what `worker.models.frames.frame_of` builds from the same rows sent as JSON, so a row has one answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from queuecast.domain.batch import FileFormat
from queuecast.domain.chunking import FileRange
from queuecast.domain.signature import Signature
from worker.tables.columns import build_frame
from worker.tables.csv_reader import read_csv_rows
from worker.tables.ndjson_reader import read_ndjson_rows
from worker.tables.parquet_reader import read_parquet_rows
from worker.tables.rows import BadRow, Rows

__all__ = ["BadRow", "Part", "read_range", "read_rows"]

_READERS: dict[FileFormat, Callable[[Path, Signature, FileRange, Sequence[str]], Rows]] = {
    FileFormat.CSV: read_csv_rows,
    FileFormat.NDJSON: read_ndjson_rows,
    FileFormat.PARQUET: read_parquet_rows,
}


@dataclass(frozen=True, slots=True)
class Part:
    """frame, row_numbers ((n,) int64, counted from 1) and ids: of the good rows. bad: one a bad row, in order.
    n_rows: of both. ids: a pyarrow array; of a CSV file always text, for it has no types."""

    frame: Any
    row_numbers: Any
    ids: Any
    bad: list[BadRow]
    n_rows: int


def read_range(path: Path, fmt: FileFormat, signature: Signature, cut: FileRange, id_column: str | None = None) -> Part:
    """Raises InvalidInputError for a file that lacks a column, or is not the one that was cut."""
    rows = read_rows(path, fmt, signature, cut, [] if id_column is None else [id_column])
    arrays = [column.values for column in rows.columns]
    numbers = rows.row_numbers
    ids = None if id_column is None else rows.extra[id_column]
    is_bad = _is_bad(rows)
    bad = rows.unreadable
    if is_bad is not None:
        bad = sorted([*bad, *_reasons(rows, is_bad)], key=lambda each: each.row)
        is_good = pa.array(~is_bad)
        arrays = [values.filter(is_good) for values in arrays]
        numbers = numbers[~is_bad]
        ids = ids.filter(is_good) if ids is not None else None
    return Part(build_frame(signature, arrays), numbers, ids, bad, cut.n_rows)


def read_rows(path: Path, fmt: FileFormat, signature: Signature, cut: FileRange, others: Sequence[str] = ()) -> Rows:
    """All rows of the cut with what is wrong in them, and columns that are in no signature, such as a target."""
    return _READERS[fmt](path, signature, cut, others)


def _is_bad(rows: Rows) -> Any:
    masks = [mask for column in rows.columns for mask in column.faults.values()]
    return np.logical_or.reduce(masks) if masks else None


def _reasons(rows: Rows, is_bad: Any) -> list[BadRow]:
    """The first fault of each bad row, in the order of the columns."""
    reasons = []
    faults = [(column, code, mask) for column in rows.columns for code, mask in column.faults.items()]
    for at in np.flatnonzero(is_bad).tolist():
        column, code, _ = next(fault for fault in faults if fault[2][at])
        reasons.append(BadRow(int(rows.row_numbers[at]), column.column.name, code, column.detail(code, at)))
    return reasons
