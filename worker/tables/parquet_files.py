"""Opens Parquet files, and decides which of their types can be read as which type of column."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from queuecast.domain.errors import InvalidInputError, short_name, shortened
from queuecast.domain.signature import Column, ColumnType
from worker.tables.id_values import can_be_id

_READABLE = {
    ColumnType.DATETIME: (pa.types.is_timestamp, pa.types.is_date),
    ColumnType.DATE: (pa.types.is_date, pa.types.is_timestamp),
    ColumnType.TIME: (pa.types.is_time,),
    ColumnType.DURATION: (pa.types.is_duration,),
    ColumnType.DECIMAL: (pa.types.is_decimal, pa.types.is_integer, pa.types.is_floating),
}

MAX_ROW_GROUP_BYTES = 2**30
"""The size of all columns without compression. A file of a few kilobytes can declare terabytes."""


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """Raises InvalidInputError for a file that is not Parquet."""
    try:
        parquet = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise not_parquet(error) from None
    with parquet:
        try:
            yield parquet
        except pa.ArrowException as error:
            raise not_parquet(error) from None


def row_groups(parquet: pq.ParquetFile) -> Iterator[tuple[int, int]]:
    """The rows and bytes of each group: the encoded bytes, but at least one for each number and eight for each string,
    because an encoding may hide many times its size.

    Raises InvalidInputError for a group that is too large to read.
    """
    metadata = parquet.metadata
    row_bytes = sum(8 if is_readable(field.type, ColumnType.STRING) else 1 for field in parquet.schema_arrow)
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        if group.total_byte_size > MAX_ROW_GROUP_BYTES:
            raise InvalidInputError(
                f"row group {index} of the file has {group.total_byte_size} bytes, expected at most "
                f"{MAX_ROW_GROUP_BYTES}; write it with smaller row groups"
            )
        yield group.num_rows, max(group.total_byte_size, group.num_rows * row_bytes)


def require_types(path: Path, sources: dict[str, Column], id_column: str | None) -> None:
    """Raises InvalidInputError for a column whose type does not fit. sources: the file's column -> the signature's."""
    with open_parquet(path) as parquet:
        schema = parquet.schema_arrow
    for name, column in sources.items():
        require_readable(name, schema.field(name).type, column)
    if id_column is not None:
        kind = value_type(schema.field(id_column).type)
        if not can_be_id(kind):
            raise InvalidInputError(f"{_held(id_column, kind)}, which cannot be an id; write it as text or numbers")


def not_parquet(error: Exception) -> InvalidInputError:
    return InvalidInputError(f"the file cannot be read as Parquet: {error}")


def require_readable(name: str, kind: Any, column: Column) -> None:
    """Raises InvalidInputError if the file's column has another type than the values of the model's column."""
    texts = column.texts
    if not is_readable(kind, column.type):
        raise InvalidInputError(f"{_held(name, kind)}, expected {column.type}")
    if texts is None or texts.moments is None or not pa.types.is_temporal(value_type(kind)):
        return
    has_zone = pa.types.is_timestamp(value_type(kind)) and value_type(kind).tz is not None
    if has_zone is not texts.moments.is_aware:
        wanted = "with" if texts.moments.is_aware else "without"
        raise InvalidInputError(f"{_held(name, kind)}, expected {column.type} {wanted} a time zone")


def is_readable(kind: Any, wanted: ColumnType) -> bool:
    kind = value_type(kind)
    if pa.types.is_null(kind):
        return True
    if wanted is ColumnType.BOOLEAN and pa.types.is_boolean(kind):
        return True
    if wanted in _READABLE:
        return any(is_of(kind) for is_of in _READABLE[wanted])
    if wanted in (ColumnType.NUMBER, ColumnType.INTEGER, ColumnType.BOOLEAN):
        return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _held(name: str, kind: Any) -> str:
    """A nested type may have any length."""
    return f"column {short_name(name)!r} of the file holds {shortened(str(kind))}"
