"""Reads one range of a Parquet file. A string is never read as a number, and "NA" is a string."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import Finding, InvalidInputError, mismatch, short_name, shortened
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Signature
from worker.models.columns.typed_columns import ARROW_TYPES
from worker.tables.checked_columns import check_column
from worker.tables.file_columns import find_columns, require_names, require_unique
from worker.tables.id_values import to_id_values
from worker.tables.parquet_files import not_parquet, open_parquet, require_readable, value_type
from worker.tables.parquet_moments import to_decimal_texts, to_moments
from worker.tables.rows import BadRow, Rows, number_rows

MAX_RANGE_BYTES = 2**27
"""The limit for the wanted columns in memory. A file can store a long string once and repeat it in two bytes."""


def read_parquet_rows(path: Path, signature: Signature, file_range: FileRange, extra: Sequence[str] = ()) -> Rows:
    """extra: columns that are returned with the values that they have."""
    with _open_file(path) as file:
        require_unique(file.names)
        sources = find_columns(file.names, signature, extra)
        table = file.read(file_range, list(dict.fromkeys([*sources, *extra])))
    for column, source in zip(signature.columns, sources, strict=True):
        require_readable(source, table[source].type, column)
    arrays = {name: _without_dictionary(table[name]) for name in table.column_names}
    unreadable = _rows_without_text(arrays, file_range.first_row, extra)
    numbers = number_rows(file_range.first_row, file_range.n_rows, unreadable)
    if unreadable:
        arrays = {name: values.take(pa.array(numbers - file_range.first_row)) for name, values in arrays.items()}
    columns = [
        check_column(column, *_convert(column, arrays[source]))
        for column, source in zip(signature.columns, sources, strict=True)
    ]
    return Rows(columns, {name: to_id_values(arrays[name]) for name in extra}, numbers, unreadable)


def read_arrays(path: Path, file_range: FileRange, extra: Sequence[str]) -> tuple[dict[str, Any], list[BadRow]]:
    """All columns of the range, without the rows whose text is not UTF-8, and those rows. extra: columns that the file
    has to have."""
    with _open_file(path) as file:
        require_unique(file.names)
        require_names(file.names, extra)
        table = file.read(file_range, file.names)
    arrays = {name: _without_dictionary(table[name]) for name in table.column_names}
    unreadable = _rows_without_text(arrays, file_range.first_row, list(arrays))
    numbers = number_rows(file_range.first_row, file_range.n_rows, unreadable)
    if unreadable:
        arrays = {name: values.take(pa.array(numbers - file_range.first_row)) for name, values in arrays.items()}
    return arrays, unreadable


def _rows_without_text(arrays: dict[str, Any], first_row: int, extra: Sequence[str]) -> list[BadRow]:
    """Rows whose id or target is not UTF-8. Parquet does not check the strings that it stores."""
    bad: dict[int, list[Finding]] = {}
    for name in extra:
        is_wrong = _not_utf8_mask(arrays[name])
        for at in [] if is_wrong is None else np.flatnonzero(is_wrong).tolist():
            row, value = first_row + at, pc.cast(arrays[name], pa.binary())[at].as_py()
            bad.setdefault(row, []).append(
                mismatch("", "wrong_type", shortened(repr(value)), "text in UTF-8", column=short_name(name))
            )
    return [BadRow.of_cells(row, bad[row], len(bad[row])) for row in sorted(bad)]


@contextmanager
def _open_file(path: Path) -> Iterator["_OpenFile"]:
    """Each thread keeps its last file open for the next range. Opening a file of many row groups takes milliseconds,
    and the only row group of a million rows would be decoded from its start for every range."""
    status = path.stat()
    key = (path, status.st_ino, status.st_mtime_ns)
    file, _cache.file = _cache.file, None
    if file is None or file.key != key:
        if file is not None:
            file.close()
        file = _OpenFile(key, path)
    try:
        yield file
    except BaseException as error:
        file.close()
        if isinstance(error, pa.ArrowException):
            raise not_parquet(error) from None
        raise
    _cache.file = file


class _OpenFile:
    """An open file that continues to read its row groups, batch by batch, where the range before ended."""

    def __init__(self, key: Any, path: Path) -> None:
        self.key = key
        self._context = open_parquet(path)
        self._parquet = self._context.__enter__()
        self.names = list(self._parquet.schema_arrow.names)
        metadata = self._parquet.metadata
        self._group_ends = np.cumsum([metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)])
        self._columns: list[str] = []
        self._batch: Any = None
        self._start = self._end = 0  # the rows from the current batch to the last opened group

    def read(self, file_range: FileRange, columns: list[str]) -> Any:
        """The rows of the range as a table. Raises InvalidInputError if they take too much memory."""
        is_ahead = self._start <= file_range.start < file_range.end <= self._end
        if self._columns != columns or not is_ahead:
            self._seek(file_range, columns)
        parts = []
        n_bytes = 0
        while True:
            low, high = max(file_range.start - self._start, 0), min(file_range.end - self._start, self._batch.num_rows)
            if low < high:
                parts.append(self._batch.slice(low, high - low))
                n_bytes += sum(map(_bytes_without_dictionary, parts[-1].columns))
                if n_bytes > MAX_RANGE_BYTES:
                    raise InvalidInputError(
                        f"{file_range.rows_text} of the file unfold to more than {MAX_RANGE_BYTES} bytes; write it "
                        "without dictionaries (use_dictionary=False), so that it is split by its real size"
                    )
            if self._start + self._batch.num_rows >= file_range.end:
                return pa.Table.from_batches(parts).combine_chunks()
            self._start += self._batch.num_rows
            self._batch = next(self._batches)

    def _seek(self, file_range: FileRange, columns: list[str]) -> None:
        first, last = np.searchsorted(self._group_ends, [file_range.start, file_range.end - 1], "right").tolist()
        self._start = int(self._group_ends[first - 1]) if first else 0
        self._end = int(self._group_ends[last])
        self._columns = columns
        # Small batches, because the size of a range is checked after each batch.
        self._batches = self._parquet.iter_batches(
            2**11, row_groups=range(first, last + 1), columns=columns, use_threads=False
        )
        self._batch = next(self._batches)

    def close(self) -> None:
        self._context.__exit__(None, None, None)


def _bytes_without_dictionary(values: Any) -> int:
    """The size of a column of a batch once its dictionary is resolved."""
    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    distinct = values.dictionary
    if not (pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type)):
        return 8 * len(values)
    return int(pc.sum(pc.take(pc.binary_length(distinct), values.indices), min_count=0).as_py())


class _Cache(threading.local):
    file: _OpenFile | None = None


_cache = _Cache()


def _without_dictionary(column: Any) -> Any:
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) else array
    array = pc.cast(array, value_type(array.type)) if pa.types.is_dictionary(array.type) else array
    return pc.cast(array, pa.large_string()) if pa.types.is_string_view(array.type) else array


def _not_utf8_mask(values: Any) -> Any:
    """A mask of the strings that are not UTF-8; None if all are, or for other types."""
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return None
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        cells = pc.cast(values, pa.large_binary()).to_pylist()
        return np.array([cell is not None and not _is_utf8(cell) for cell in cells])
    return None


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _convert(column: Column, values: Any) -> tuple[Any, Any, Any]:
    """The values as the column's type, a mask of those that it cannot hold or None, and the cells to show in errors."""
    kind = column.type
    if column.texts is not None:
        convert = to_moments if column.texts.moments is not None else to_decimal_texts
        return *convert(column, values), values
    if kind is ColumnType.NUMBER:
        numbers = pc.cast(values, pa.float64(), safe=False)
        numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
        is_wrong = pc.fill_null(pc.is_inf(numbers), fill_value=False).to_numpy(zero_copy_only=False)
        if not is_wrong.any():
            return numbers, None, values
        return pc.if_else(pa.array(is_wrong), None, numbers), is_wrong, values
    of_numbers = {ColumnType.INTEGER: _to_integers, ColumnType.BOOLEAN: _to_booleans}.get(kind)
    if of_numbers is not None and not (pa.types.is_null(values.type) or pa.types.is_boolean(values.type)):
        return *of_numbers(values), values
    is_wrong = _not_utf8_mask(values)
    if is_wrong is None:
        return pc.cast(values, ARROW_TYPES[kind]), None, values
    cells = pc.cast(values, pa.large_binary())
    return pc.cast(pc.if_else(pa.array(is_wrong), None, cells), ARROW_TYPES[kind]), is_wrong, cells


def _to_booleans(values: Any) -> tuple[Any, Any]:
    """Booleans may be stored as the numbers 1 and 0, with NaN where pandas had a missing value."""
    numbers = pc.cast(values, pa.float64(), safe=False)
    numbers = pc.if_else(pc.is_nan(numbers), None, numbers)
    is_wrong = pc.fill_null(pc.and_(pc.not_equal(numbers, 0.0), pc.not_equal(numbers, 1.0)), fill_value=False)
    booleans = pc.equal(pc.if_else(is_wrong, None, numbers), 1.0)
    mask = is_wrong.to_numpy(zero_copy_only=False)
    return booleans, mask if mask.any() else None


def _to_integers(values: Any) -> tuple[Any, Any]:
    """Integers may be stored as floats, as pandas writes an integer column with missing values."""
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        return pc.cast(values, pa.int64()), None
    if pa.types.is_uint64(values.type):
        is_wrong = pc.greater(values, pa.scalar(2**63 - 1, pa.uint64()))
    elif pa.types.is_decimal(values.type):  # exact: a float would round them
        low, high = (pa.scalar(Decimal(bound), pa.decimal128(19)) for bound in (INT64_MIN, INT64_MAX))
        is_out = pc.or_(pc.less(values, low), pc.greater(values, high))
        is_wrong = pc.or_(pc.not_equal(values, pc.trunc(values)), is_out)
    else:
        values = pc.cast(values, pa.float64(), safe=False)
        values = pc.if_else(pc.is_nan(values), None, values)
        is_fraction = pc.not_equal(values, pc.floor(values))
        is_wrong = pc.or_(is_fraction, pc.or_(pc.less(values, -(2.0**63)), pc.greater_equal(values, 2.0**63)))
    is_wrong = pc.fill_null(is_wrong, fill_value=False)
    integers = pc.cast(pc.if_else(is_wrong, None, values), pa.int64())
    mask = is_wrong.to_numpy(zero_copy_only=False)
    return integers, mask if mask.any() else None
