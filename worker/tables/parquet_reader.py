"""One cut of a Parquet file. Its values have types: a word is not read as a number, and "NA" is a word."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError, shortened
from queuecast.domain.signature import INT64_MAX, INT64_MIN, ColumnType, Signature
from worker.tables.columns import ARROW_TYPES, check_column
from worker.tables.file_columns import find_columns, require_unique
from worker.tables.id_values import to_id_values
from worker.tables.parquet_files import is_readable, not_parquet, open_parquet, value_type, wrong_column_type
from worker.tables.rows import BadRow, Rows

MAX_CUT_BYTES = 2**27
"""Of the wanted columns as they are held. A word that is in a file once, and repeated there in two bytes, is not."""
_BATCH_ROWS = 2**11  # what is too much is noticed after each


def read_parquet_rows(path: Path, signature: Signature, cut: FileRange, others: Sequence[str] = ()) -> Rows:
    """others: columns that are wanted with the values that they have."""
    with _reading(path) as reading:
        require_unique(reading.names)
        sources = find_columns(reading.names, signature, others)
        table = reading.taken(cut, list(dict.fromkeys([*sources, *others])))
    for column, source in zip(signature.columns, sources, strict=True):
        if not is_readable(table[source].type, column.type):
            raise wrong_column_type(source, table[source].type, column.type)
    found = {name: _plain(table[name]) for name in table.column_names}
    numbers = np.arange(cut.first_row, cut.first_row + cut.n_rows, dtype=np.int64)
    bad = _no_text(found, numbers, others)
    if bad:
        at = [each.row - cut.first_row for each in bad]
        numbers = np.delete(numbers, at)
        found = {name: values.take(pa.array(numbers - cut.first_row)) for name, values in found.items()}
    columns = [
        check_column(column, *_values_of(column.type, found[source]))
        for column, source in zip(signature.columns, sources, strict=True)
    ]
    return Rows(columns, {name: to_id_values(found[name]) for name in others}, numbers, bad)


def _no_text(found: dict[str, Any], numbers: Any, others: Sequence[str]) -> list[BadRow]:
    """Rows whose id or target is no text: Parquet does not check what it is given as strings."""
    bad: dict[int, BadRow] = {}
    for name in others:
        is_wrong = _is_no_text(found[name])
        for at in [] if is_wrong is None else np.flatnonzero(is_wrong).tolist():
            row, value = int(numbers[at]), pc.cast(found[name], pa.binary())[at].as_py()
            bad.setdefault(
                row, BadRow(row, name, "wrong_type", f"found {shortened(repr(value))}, expected text in UTF-8")
            )
    return [bad[row] for row in sorted(bad)]


@contextmanager
def _reading(path: Path) -> Iterator["_Reading"]:
    """It is kept for the next cut of the same file: to open a file of many row groups takes milliseconds, and one of a
    million rows would be decoded from its start for each of its cuts."""
    status = path.stat()
    key = (path, status.st_ino, status.st_mtime_ns)
    kept, _kept.reading = _kept.reading, None
    if kept is None or kept.key != key:
        if kept is not None:
            kept.close()
        kept = _Reading(key, path)
    try:
        yield kept
    except BaseException as error:
        kept.close()
        if isinstance(error, pa.ArrowException):
            raise not_parquet(error) from None
        raise
    _kept.reading = kept


class _Reading:
    """An open file, and the row groups of one cut or more that are being read, batch by batch."""

    def __init__(self, key: Any, path: Path) -> None:
        self.key = key
        self._opened = open_parquet(path)
        self._parquet = self._opened.__enter__()
        self.names = list(self._parquet.schema_arrow.names)
        metadata = self._parquet.metadata
        self._ends = np.cumsum([metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)])
        self._columns: list[str] = []
        self._batch: Any = None
        self._begin = self._end = 0  # of the rows from the present batch on

    def taken(self, cut: FileRange, columns: list[str]) -> Any:
        if self._columns != columns or not self._begin <= cut.start < cut.end <= self._end:
            self._start(cut, columns)
        parts = []
        held_bytes = 0
        while True:
            low, high = max(cut.start - self._begin, 0), min(cut.end - self._begin, self._batch.num_rows)
            if low < high:
                parts.append(self._batch.slice(low, high - low))
                held_bytes += sum(map(_plain_bytes, parts[-1].columns))
                if held_bytes > MAX_CUT_BYTES:
                    raise InvalidInputError(
                        f"{cut.rows_text} of the file unfold to more than {MAX_CUT_BYTES} bytes; write it without "
                        "dictionaries (use_dictionary=False), so that it is cut by what it holds"
                    )
            if self._begin + self._batch.num_rows >= cut.end:
                return pa.Table.from_batches(parts).combine_chunks()
            self._begin += self._batch.num_rows
            self._batch = next(self._batches)

    def _start(self, cut: FileRange, columns: list[str]) -> None:
        first, last = np.searchsorted(self._ends, [cut.start, cut.end - 1], "right").tolist()
        self._begin, self._end = int(self._ends[first - 1]) if first else 0, int(self._ends[last])
        self._columns = columns
        groups = range(first, last + 1)
        self._batches = self._parquet.iter_batches(_BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False)
        self._batch = next(self._batches)

    def close(self) -> None:
        self._opened.__exit__(None, None, None)


def _plain_bytes(found: Any) -> int:
    """What a column of a batch takes when its dictionary is resolved."""
    if not kinds.is_dictionary(found.type):
        return int(found.nbytes)
    words = found.dictionary
    if not (kinds.is_string(words.type) or kinds.is_large_string(words.type)):
        return 8 * len(found)
    return int(pc.sum(pc.take(pc.binary_length(words), found.indices), min_count=0).as_py())


class _Kept(threading.local):
    reading: _Reading | None = None


_kept = _Kept()


def _plain(found: Any) -> Any:
    array = found.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    array = pc.cast(array, value_type(array.type)) if kinds.is_dictionary(array.type) else array
    return pc.cast(array, pa.large_string()) if kinds.is_string_view(array.type) else array


def _is_no_text(found: Any) -> Any:
    """A mask of the cells that are not UTF-8, or None."""
    if not (kinds.is_string(found.type) or kinds.is_large_string(found.type)):
        return None
    try:
        found.validate(full=True)
    except pa.ArrowInvalid:
        cells = pc.cast(found, pa.large_binary()).to_pylist()
        return np.array([cell is not None and not _is_utf8(cell) for cell in cells])
    return None


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _values_of(kind: ColumnType, found: Any) -> tuple[Any, Any, Any]:
    """The values as the column's kind, a mask of those that it cannot hold, or None, and what can be shown of them."""
    if kind is ColumnType.NUMBER:
        numbers = pc.cast(found, pa.float64(), safe=False)
        numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
        is_wrong = pc.fill_null(pc.is_inf(numbers), fill_value=False).to_numpy(zero_copy_only=False)
        if not is_wrong.any():
            return numbers, None, found
        return pc.if_else(pa.array(is_wrong), None, numbers), is_wrong, found
    if kind is ColumnType.INTEGER and not kinds.is_null(found.type):
        return *_whole(found), found
    is_wrong = _is_no_text(found)
    if is_wrong is None:
        return pc.cast(found, ARROW_TYPES[kind]), None, found
    shown = pc.cast(found, pa.large_binary())
    return pc.cast(pc.if_else(pa.array(is_wrong), None, shown), ARROW_TYPES[kind]), is_wrong, shown


def _whole(found: Any) -> tuple[Any, Any]:
    """Whole numbers may come as floats, as pandas writes a column of them that has holes."""
    if kinds.is_integer(found.type) and not kinds.is_uint64(found.type):
        return pc.cast(found, pa.int64()), None
    if kinds.is_uint64(found.type):
        is_wrong = pc.greater(found, pa.scalar(2**63 - 1, pa.uint64()))
    elif kinds.is_decimal(found.type):  # as floats they would be rounded
        low, high = (pa.scalar(Decimal(bound), pa.decimal128(19)) for bound in (INT64_MIN, INT64_MAX))
        is_out = pc.or_(pc.less(found, low), pc.greater(found, high))
        is_wrong = pc.or_(pc.not_equal(found, pc.trunc(found)), is_out)
    else:
        found = pc.cast(found, pa.float64(), safe=False)
        found = pc.if_else(pc.is_nan(found), None, found)
        is_fraction = pc.not_equal(found, pc.floor(found))
        is_wrong = pc.or_(is_fraction, pc.or_(pc.less(found, -(2.0**63)), pc.greater_equal(found, 2.0**63)))
    is_wrong = pc.fill_null(is_wrong, fill_value=False)
    values = pc.cast(pc.if_else(is_wrong, None, found), pa.int64())
    mask = is_wrong.to_numpy(zero_copy_only=False)
    return values, mask if mask.any() else None
