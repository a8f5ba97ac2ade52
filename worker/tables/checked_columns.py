"""Checks a pyarrow array against a column of the signature, and converts it to the column that the estimator takes.

`worker.models.frames` builds the same columns from JSON rows; here they are built from pyarrow, for speed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.errors import Finding, mismatch, shortened
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature, expected_value
from worker.models.frames import NUMPY_NAMES, column_of, holding_dtype, missing_value

ARROW_TYPES = {
    ColumnType.NUMBER: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.STRING: pa.large_string(),
}


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """values: of the column's type, null where missing or wrong. faults: code -> mask of the rows that have it."""

    column: Column
    values: Any
    faults: dict[str, Any]
    cells: Any
    """The values of the file before they were converted, as a pyarrow array."""

    def finding(self, code: str, row: int) -> Finding:
        """The fault of one cell, without its place. row: its index in `values`."""
        if code == "null":
            expected = f"{_with_article(self.column.type)} in every row"
            return empty_cell(f"is empty, expected {expected}", expected, self.column.name)
        expected = expected_value(self.column) if code == "unknown_category" else _with_article(self.column.type)
        return mismatch("", code, shortened(repr(self.cells[row].as_py())), expected, self.column.name)


def empty_cell(detail: str, expected: str, column: str) -> Finding:
    return Finding("", "null", detail, "an empty cell", expected, column)


def check_column(column: Column, values: Any, is_wrong: Any, cells: Any) -> CheckedColumn:
    """values: an array of the column's type. is_wrong: mask of the rows whose cell has another type, or None.
    cells: the values before they were converted."""
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
    return CheckedColumn(column, values, faults, cells)


def _out_of_range(column: Column, values: Any) -> Any:
    """A mask of the values that the dtype cannot hold: numpy would wrap them or make them infinite."""
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
    """The frame or array that `worker.models.frames.frame_of` builds from the same rows.

    columns: a checked array without faults for each column.
    """
    pairs = list(zip(signature.columns, columns, strict=True))
    if signature.layout is Layout.FRAME:
        built = {column.name: build_column(column, values) for column, values in pairs}
        return pd.DataFrame(built, columns=[column.name for column in signature.columns])
    dtype = signature.columns[0].dtype if signature.columns else "float64"
    n_rows = len(columns[0]) if columns else 0
    if dtype == "str":  # numpy gives every string the length of the longest
        return np.array([values.to_pylist() for values in columns], dtype=dtype).T.reshape(n_rows, len(columns)).copy()
    if any(column.widens and values.null_count for column, values in pairs):
        dtype = "object"
    array = np.empty((n_rows, len(columns)), dtype=dtype)
    for index, (column, values) in enumerate(pairs):
        array[:, index] = values.to_pylist() if column.widens and values.null_count else build_column(column, values)
    return array


def build_column(column: Column, values: Any) -> Any:
    """The column that `worker.models.frames.column_of` builds from the same values."""
    dtype = holding_dtype(column) if column.widens and values.null_count else column.dtype
    if column.dtype == "category":
        return _categorical(column, values)
    if column.dtype == "object":
        return pd.Series(python_objects(values, missing_value(column)), dtype=object)
    if column.dtype == "str":
        return pd.array(python_objects(values), dtype="str")
    if dtype in NUMPY_NAMES:
        return values.to_numpy(zero_copy_only=False).astype(dtype)
    if column.type in (ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.BOOLEAN) and dtype[0] in "IUFb":
        return _masked(dtype, values)
    return column_of(column, values.to_pylist())


def _categorical(column: Column, values: Any) -> Any:
    dtype = pd.CategoricalDtype(list(column.categories or ()))
    codes = pc.index_in(values, value_set=pa.array(column.categories or (), values.type))
    return pd.Categorical.from_codes(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False), dtype=dtype)


def python_objects(values: Any, missing: Any = np.nan) -> Any:
    """An array of Python objects, with `missing` where there is no value. Equal values share one object, which takes
    less memory and makes comparisons faster."""
    encoded = values.dictionary_encode()
    distinct = np.array([*encoded.dictionary.to_pylist(), missing], dtype=object)
    return distinct[pc.fill_null(encoded.indices, len(distinct) - 1).to_numpy(zero_copy_only=False)]


def _masked(name: str, values: Any) -> Any:
    is_missing = values.is_null().to_numpy(zero_copy_only=False).copy()
    filled = pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0).to_numpy(zero_copy_only=False)
    dtype: Any = pd.api.types.pandas_dtype(name)
    return dtype.construct_array_type()(filled.astype(dtype.numpy_dtype), is_missing)


def _with_article(kind: ColumnType) -> str:
    return f"an {kind}" if kind is ColumnType.INTEGER else f"a {kind}"
