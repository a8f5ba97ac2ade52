"""Builds the columns of a frame from Arrow arrays, with the dtype that they had at the fit.

An Arrow array here has the type of `ARROW_TYPES`: moments are whole numbers of their column's unit, decimals are text.
JSON rows and the readers of files end in the same array, so a value becomes the same cell from any format.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.columns.dtypes import OBJECT_KINDS, kind_named, moments_of
from queuecast.domain.columns.moments import DAY_NS, decimal_of, decimal_text
from queuecast.domain.signature import Column, ColumnType
from queuecast.tables.plain_values import zone_named

NUMPY_NAMES = frozenset(np.dtype(code).name for code in "?bhilqBHILQefd")
ARROW_TYPES = {
    ColumnType.NUMBER: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.STRING: pa.large_string(),
    ColumnType.DATETIME: pa.int64(),
    ColumnType.DATE: pa.int64(),
    ColumnType.TIME: pa.int64(),
    ColumnType.DURATION: pa.int64(),
    ColumnType.DECIMAL: pa.large_string(),
    ColumnType.OBJECT: pa.large_string(),
}
ARROW = "[pyarrow]"

_NO_TIME = np.iinfo("int64").min  # NaT
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def arrow_values(column: Column, values: list[Any]) -> Any:
    """values: JSON values that fit the column, None for missing."""
    texts = column.texts
    if texts is not None and texts.moments is not None:
        moments = texts.moments
        return pa.array([None if value is None else moments.ticks(value) for value in values], pa.int64())
    if texts is not None:
        return pa.array(list(map(_decimal_text, values)), pa.large_string())
    if column.type is ColumnType.NUMBER:  # Arrow refuses a whole number that a float rounds
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, ARROW_TYPES[column.type])


def fitting_values(column: Column, cells: list[Any]) -> tuple[Any, Any]:
    """The cells of a column of dates, times, durations or decimals, null where one does not fit, and a mask of those or
    None."""
    key = column.texts.key if column.texts is not None else str
    is_wrong = np.array([cell is not None and key(cell) is None for cell in cells], dtype=bool)
    good = [None if wrong else cell for cell, wrong in zip(cells, is_wrong, strict=True)]
    return arrow_values(column, good), is_wrong if is_wrong.any() else None


def _decimal_text(value: Any) -> str | None:
    number = None if value is None else decimal_of(value)
    return None if number is None else decimal_text(number)


def categorical(column: Column, values: Any) -> Any:
    """values: an Arrow array of categories, null for missing."""
    categories = arrow_values(column, list(column.categories or ()))
    codes = pc.fill_null(pc.index_in(values, value_set=categories.cast(values.type)), -1)
    return pd.Categorical.from_codes(codes.to_numpy(zero_copy_only=False), dtype=category_dtype(column))


def category_dtype(column: Column) -> Any:
    if not column.inner:  # of a version that was made before the field
        return pd.CategoricalDtype(list(column.categories or ()))
    categories = typed_values(column.type, column.inner, arrow_values(column, list(column.categories or ())))
    dtype = object if isinstance(categories, np.ndarray) and categories.dtype == object else None
    return pd.CategoricalDtype(pd.Index(categories, dtype=dtype), ordered=column.is_ordered)


def typed_values(kind: ColumnType, dtype: str, values: Any, missing: Any = np.nan) -> Any:
    """values: an Arrow array. dtype: of the column or of its categories, or the class of Python objects.

    missing: fills the missing cells of Python objects.
    """
    if dtype in NUMPY_NAMES:
        return values.to_numpy(zero_copy_only=False).astype(dtype)
    if dtype in ("str", "string"):
        return pd.array(python_objects(values, pd.NA if dtype == "string" else np.nan), dtype=dtype)
    if dtype == "object" or dtype.partition(",")[0] in OBJECT_KINDS:
        return python_objects(values, missing, None if dtype == "object" else (kind, dtype))
    if dtype.endswith(ARROW):
        return _arrow_column(kind, dtype, values)
    return _pandas_column(dtype, values)


def python_objects(values: Any, missing: Any = np.nan, of_class: tuple[ColumnType, str] | None = None) -> Any:
    """An array of Python objects, with `missing` where there is no value. Equal values share one object, which takes
    less memory and makes comparisons faster.

    of_class: the kind and class of dates, times, durations and decimals.
    """
    encoded = values.dictionary_encode()
    present = encoded.dictionary.to_pylist()
    if of_class is not None:
        present = _objects(*of_class, present)
    distinct = np.empty(len(present) + 1, dtype=object)  # numpy would convert a list of pandas' objects
    distinct[:-1] = present
    distinct[-1] = missing
    return distinct[pc.fill_null(encoded.indices, len(present)).to_numpy(zero_copy_only=False)]


def _pandas_column(dtype: str, values: Any) -> Any:
    if dtype.startswith("Sparse["):
        sparse = sparse_dtype(dtype)
        return pd.arrays.SparseArray(values.to_numpy(zero_copy_only=False).astype(sparse.subtype), dtype=sparse)
    if dtype.startswith(("datetime64[", "timedelta64[")):
        return _numpy_moments(dtype, values)
    return _masked(dtype, values)  # Int64, UInt8, Float32, boolean


def _objects(kind: ColumnType, dtype: str, values: list[Any]) -> list[Any]:
    name, _, zone_text = dtype.partition(", ")
    if name == "Decimal":
        return list(map(Decimal, values))
    if name == "date":
        return [date.fromordinal(value + _EPOCH_DAY) for value in values]
    unit_ns = moments_of(kind, dtype).unit_ns
    zone = zone_named(zone_text) if zone_text else None
    if name == "Timestamp":
        return [pd.Timestamp(value * unit_ns, unit="ns", tz=zone) for value in values]
    if name == "Timedelta":
        return [pd.Timedelta(value * unit_ns, unit="ns") for value in values]
    return [_moment(name, timedelta(microseconds=value * unit_ns // 1000), zone) for value in values]


def _moment(name: str, duration: timedelta, zone: tzinfo | None) -> Any:
    """duration: itself, since midnight for a time of day, since 1970 for a datetime."""
    if name == "timedelta":
        return duration
    if name == "time":
        return (datetime.min + duration).time()
    moment = datetime(1970, 1, 1, tzinfo=UTC) + duration
    return moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)


def sparse_dtype(dtype: str) -> Any:
    """pandas reads the name of a sparse dtype only if it has the usual fill value."""
    subtype, _, fill = dtype.removeprefix("Sparse[").removesuffix("]").partition(", ")
    if subtype == "bool":
        return pd.SparseDtype(subtype, fill == "True")
    return pd.SparseDtype(subtype, int(fill) if fill.lstrip("-").isdigit() else float(fill))


def arrow_dtype(dtype: str) -> Any:
    """The dtype with the name. Raises ValueError for an unknown one. pandas reads no name of a decimal, and reads
    "string[pyarrow]" as another dtype."""
    name = dtype.removesuffix(ARROW)
    found = re.fullmatch(r"decimal(128|256)\((\d+), (\d+)\)", name)
    if found is not None:
        make = pa.decimal128 if found[1] == "128" else pa.decimal256
        return pd.ArrowDtype(make(int(found[2]), int(found[3])))
    found = re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", name)
    if found is not None:
        return pd.ArrowDtype(pa.timestamp(found[1], found[2]))
    return pd.ArrowDtype(pa.type_for_alias(name))


def _arrow_column(kind: ColumnType, dtype: str, values: Any) -> Any:
    wanted = arrow_dtype(dtype).pyarrow_dtype
    if kind is ColumnType.DECIMAL:
        values = pa.array([None if text is None else Decimal(text) for text in values.to_pylist()], wanted)
    elif kind is ColumnType.DATE and pa.types.is_date64(wanted):
        values = pc.multiply(values, DAY_NS // 10**6)
    elif pa.types.is_date32(wanted) or pa.types.is_time32(wanted):
        values = pc.cast(values, pa.int32())
    return pd.arrays.ArrowExtensionArray(pc.cast(values, wanted, safe=kind is not ColumnType.NUMBER))


def _numpy_moments(dtype: str, values: Any) -> Any:
    name, _, zone = dtype.removesuffix("]").partition(", ")
    ticks = pc.fill_null(values, _NO_TIME).to_numpy(zero_copy_only=False)
    moments = ticks.astype("int64").view(name + "]" if zone else dtype)
    if not zone:
        return moments
    return pd.DatetimeIndex(moments).tz_localize("UTC").tz_convert(pd.api.types.pandas_dtype(dtype).tz).array


def _masked(name: str, values: Any) -> Any:
    is_missing = values.is_null().to_numpy(zero_copy_only=False).copy()
    filled = pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0).to_numpy(zero_copy_only=False)
    dtype: Any = pd.api.types.pandas_dtype(name)
    return dtype.construct_array_type()(filled.astype(dtype.numpy_dtype), is_missing)


def can_be_rebuilt(dtype: str) -> bool:
    """Whether another machine can make the dtype from its name, such as one with a time zone."""
    if kind_named(dtype) is None:
        return False
    try:
        if dtype.endswith(ARROW):
            return str(arrow_dtype(dtype)) == dtype
        if dtype.startswith("Sparse["):
            return str(sparse_dtype(dtype)) == dtype
        if dtype.startswith(("datetime64[", "timedelta64[")):
            return str(pd.api.types.pandas_dtype(dtype)) == dtype
        if ", " in dtype:
            zone_named(dtype.partition(", ")[2])
    except (TypeError, ValueError, KeyError, NotImplementedError):
        return False
    return True
