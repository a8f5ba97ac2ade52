"""Converts the times and decimals of a Parquet file into the values of a column, exactly or not at all."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.columns.moments import UNITS_NS
from queuecast.domain.signature import Column
from worker.models.columns.typed_columns import ARROW_TYPES, fitting_values


def to_moments(column: Column, values: Any) -> tuple[Any, Any]:
    """values: timestamps, dates, times or durations. Returns whole numbers of the column's unit, and a mask of the
    values that are finer than the unit or out of its range, or None."""
    if column.texts is None or column.texts.moments is None or pa.types.is_null(values.type):
        return pa.nulls(len(values), ARROW_TYPES[column.type]), None
    moments = column.texts.moments
    is_valid = values.is_valid().to_numpy(zero_copy_only=False)
    found = pc.fill_null(_numbers(values), 0).to_numpy(zero_copy_only=False)
    from_ns, to_ns = _unit_ns(values.type), moments.unit_ns
    if from_ns >= to_ns:
        factor = from_ns // to_ns
        is_wrong = (found < -(-moments.low // factor)) | (found > moments.high // factor)
        ticks = np.where(is_wrong, 0, found) * factor
    else:
        ticks, rest = np.divmod(found, to_ns // from_ns)
        is_wrong = (rest != 0) | (ticks < moments.low) | (ticks > moments.high)
    is_wrong &= is_valid
    return pa.array(ticks, pa.int64(), mask=is_wrong | ~is_valid), is_wrong if is_wrong.any() else None


def to_decimal_texts(column: Column, values: Any) -> tuple[Any, Any]:
    """values: decimals, whole numbers or floats."""
    cells = values.to_pylist()
    if pa.types.is_decimal(values.type):
        cells = [None if cell is None else str(cell) for cell in cells]
    else:
        cells = [None if cell is None or cell != cell else cell for cell in cells]  # noqa: PLR0124 - NaN is missing
    return fitting_values(column, cells)


def _numbers(values: Any) -> Any:
    """The whole numbers that Arrow stores: a cast to int64 is allowed from its own width only."""
    if values.type.bit_width == 32:
        values = pc.cast(values, pa.int32())
    return pc.cast(values, pa.int64())


def _unit_ns(kind: Any) -> int:
    if pa.types.is_date32(kind):
        return UNITS_NS["D"]
    return UNITS_NS["ms" if pa.types.is_date64(kind) else kind.unit]
