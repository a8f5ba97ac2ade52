"""Splits a table into ranges that can be read independently, in one pass that keeps nothing of the file.

Rows are counted from 1. A header and blank lines (`worker.tables.record_scanner`) are not rows.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from worker.tables.parquet_files import open_parquet, row_groups
from worker.tables.record_scanner import BYTE_ORDER_MARK, RecordScanner, header_range

_Range = tuple[int, int, int, int]  # first_row, n_rows, start, end


def split_file(path: Path, fmt: FileFormat, max_rows: int, max_bytes: int) -> Iterator[FileRange]:
    """Yields ranges in the order of the file, with every row in one of them. A row longer than `max_bytes` is alone.

    Raises InvalidInputError for a file without rows, and for bytes that `RecordScanner` refuses.
    """
    if fmt is FileFormat.PARQUET:
        ranges = _split_by_row_groups(path, max_rows, max_bytes)
    else:
        ranges = _split_by_records(path, fmt, max_rows, max_bytes)
    index = 0
    for index, (first_row, n_rows, start, end) in enumerate(ranges, start=1):
        yield FileRange(index - 1, first_row, n_rows, start, end)
    if index == 0:
        head = "a header and " if fmt is FileFormat.CSV else ""
        raise InvalidInputError(f"the file has {head}no rows")


def _split_by_records(path: Path, fmt: FileFormat, max_rows: int, max_bytes: int) -> Iterator[_Range]:
    is_csv = fmt is FileFormat.CSV
    with path.open("rb") as file:
        start = header_range(path)[1] if is_csv else 0
        if not is_csv and file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
            start = len(BYTE_ORDER_MARK)
        counted = given = 0  # rows so far, rows in ranges so far
        scanned = start
        for ends in RecordScanner(file, start, has_quotes=is_csv):
            rows = counted + np.cumsum(~ends.is_blank)
            taken = 0  # records of this block that are in a range already
            while True:
                by_rows = int(np.searchsorted(rows, given + max_rows, "right"))
                by_bytes = int(np.searchsorted(ends.offsets, start + max_bytes, "right"))
                fitting = min(by_rows, by_bytes)
                if fitting >= len(rows):
                    break
                if fitting <= taken and scanned == start:
                    fitting = taken + 1  # one record that is longer than max_bytes
                if fitting > taken:
                    scanned, counted, taken = int(ends.offsets[fitting - 1]), int(rows[fitting - 1]), fitting
                if counted > given:
                    yield given + 1, counted - given, start, scanned
                start, given = scanned, counted
            scanned, counted = int(ends.offsets[-1]), int(rows[-1])
        if counted > given:
            yield given + 1, counted - given, start, scanned


def _split_by_row_groups(path: Path, max_rows: int, max_bytes: int) -> Iterator[_Range]:
    """A range is a part of one row group, or several whole groups. A reader decodes a group from its start to reach a
    part of it, and a range per small group would call the model for every few rows."""
    begin = end = pending_bytes = 0  # the whole row groups that are in no range yet
    with open_parquet(path) as parquet:
        for n_rows, size in row_groups(parquet):
            if begin < end and (end + n_rows - begin > max_rows or pending_bytes + size > max_bytes):
                yield begin + 1, end - begin, begin, end
                begin, pending_bytes = end, 0
            end += n_rows
            pending_bytes += size
            if n_rows > max_rows or size > max_bytes:
                step = max(1, min(max_rows, int(max_bytes * n_rows / size)))
                for start in range(begin, end, step):
                    stop = min(start + step, end)
                    yield start + 1, stop - start, start, stop
                begin, pending_bytes = end, 0
        if begin < end:
            yield begin + 1, end - begin, begin, end
