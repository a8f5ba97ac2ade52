"""A column of values, whatever file it came from: is every value one that the signature takes, and the same column as
pandas or numpy would hold it (`worker.models.frames` says how, from JSON rows; here it is made from pyarrow, for
speed).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.errors import shortened
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature, wanted
from worker.models.frames import NUMPY_NAMES, column_of

ARROW_TYPES = {
    ColumnType.NUMBER: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.STRING: pa.large_string(),
}


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """values: of the column's kind, null where missing or wrong. faults: code -> mask of the rows that have it."""

    column: Column
    values: Any
    faults: dict[str, Any]
    found: Any
    """What stands in the file, as a pyarrow array."""

    def detail(self, code: str, row: int) -> str:
        if code == "null":
            return f"is empty, expected {_a(self.column.type)} in every row"
        expected = wanted(self.column) if code == "unknown_category" else _a(self.column.type)
        return f"found {shortened(repr(self.found[row].as_py()))}, expected {expected}"


def check_column(column: Column, values: Any, is_wrong: Any, found: Any) -> CheckedColumn:
    """values: an array of the column's kind. is_wrong: mask of the rows whose value is of another kind, or None.
    found: what stands in the file."""
    faults: dict[str, Any] = {}
    out_of_range = _out_of_range(column, values)
    if out_of_range is not None:
        is_wrong = out_of_range if is_wrong is None else is_wrong | out_of_range
    if is_wrong is not None and is_wrong.any():
        faults["wrong_type"] = is_wrong
    if values.null_count and not column.nullable:
        is_null = values.is_null().to_numpy(zero_copy_only=False)
        is_null = is_null if is_wrong is None else is_null & ~is_wrong
        if is_null.any():
            faults["null"] = is_null
    if column.categories is not None:
        is_known = pc.is_in(values, value_set=pa.array(column.categories, values.type))
        is_unknown = ~is_known.to_numpy(zero_copy_only=False) & values.is_valid().to_numpy(zero_copy_only=False)
        if is_wrong is not None:
            is_unknown &= ~is_wrong
        if is_unknown.any():
            faults["unknown_category"] = is_unknown
    return CheckedColumn(column, values, faults, found)


def _out_of_range(column: Column, values: Any) -> Any:
    """Values that the dtype cannot hold: numpy would wrap them or make them infinite."""
    if column.type is ColumnType.INTEGER:
        if column.dtype in ("category", "object", "int64", "Int64"):
            return None
        bounds = np.iinfo(column.dtype.lower())
        low, high = max(bounds.min, INT64_MIN), min(bounds.max, INT64_MAX)
        is_out = pc.fill_null(pc.or_(pc.less(values, low), pc.greater(values, high)), fill_value=False)
        is_out = is_out.to_numpy(zero_copy_only=False)
    elif column.type is ColumnType.NUMBER and column.dtype.lower() in ("float16", "float32"):
        with np.errstate(over="ignore"):
            is_out = np.isinf(values.to_numpy(zero_copy_only=False).astype(column.dtype.lower()))
    else:
        return None
    return is_out if is_out.any() else None


def build_frame(signature: Signature, columns: list[Any]) -> Any:
    """What `worker.models.frames.frame_of` makes of the same rows.

    columns: one checked array a column, without faults.
    """
    pairs = list(zip(signature.columns, columns, strict=True))
    if signature.layout is Layout.FRAME:
        made = {column.name: build_column(column, values) for column, values in pairs}
        return pd.DataFrame(made, columns=[column.name for column in signature.columns])
    dtype = signature.columns[0].dtype if signature.columns else "float64"
    n_rows = len(columns[0]) if columns else 0
    if dtype == "str":  # numpy's words are as long as the longest
        return np.array([values.to_pylist() for values in columns], dtype=dtype).T.reshape(n_rows, len(columns)).copy()
    array = np.empty((n_rows, len(columns)), dtype=dtype)
    for index, (column, values) in enumerate(pairs):
        array[:, index] = build_column(column, values)
    return array


def build_column(column: Column, values: Any) -> Any:
    """One column as `worker.models.frames.column_of` makes it of the same values."""
    if column.dtype == "category":
        return _categorical(column, values)
    if column.dtype == "object":
        return pd.Series(python_objects(values), dtype=object)
    if column.dtype == "str":
        return pd.array(python_objects(values), dtype="str")
    if column.dtype in NUMPY_NAMES:
        return values.to_numpy(zero_copy_only=False).astype(column.dtype)
    if column.type in (ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.BOOLEAN) and column.dtype[0] in "IUFb":
        return _masked(column, values)
    return column_of(column, values.to_pylist())


def _categorical(column: Column, values: Any) -> Any:
    dtype = pd.CategoricalDtype(list(column.categories or ()))
    places = pc.index_in(values, value_set=pa.array(column.categories or (), values.type))
    return pd.Categorical.from_codes(pc.fill_null(places, -1).to_numpy(zero_copy_only=False), dtype=dtype)


def python_objects(values: Any) -> Any:
    """With NaN for missing. A word that is there a thousand times becomes one Python object: less memory, and faster
    comparisons."""
    coded = values.dictionary_encode()
    words = np.array([*coded.dictionary.to_pylist(), np.nan], dtype=object)
    return words[pc.fill_null(coded.indices, len(words) - 1).to_numpy(zero_copy_only=False)]


def _masked(column: Column, values: Any) -> Any:
    is_missing = values.is_null().to_numpy(zero_copy_only=False).copy()
    is_truth = pa.types.is_boolean(values.type)
    filled = pc.fill_null(values, False if is_truth else 0).to_numpy(zero_copy_only=False)
    dtype: Any = pd.api.types.pandas_dtype(column.dtype)
    return dtype.construct_array_type()(filled.astype(dtype.numpy_dtype), is_missing)


def _a(kind: ColumnType) -> str:
    return f"an {kind}" if kind is ColumnType.INTEGER else f"a {kind}"
