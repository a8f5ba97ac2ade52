"""Checks a pyarrow array against a column of the signature, and converts it to the column that the estimator takes.

`worker.models.frames` builds the same columns from JSON rows; here they are built from pyarrow, for speed.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow.compute as pc

from queuecast.domain.columns.dtypes import float_bound, whole_bounds
from queuecast.domain.errors import Finding, mismatch, short_name, shortened
from queuecast.domain.signature import INT64_MIN, Column, ColumnType, Layout, Signature, expected_value
from queuecast.tables.cells import parse_number
from worker.models.columns.typed_columns import arrow_values, categorical, typed_values
from worker.models.frames import holding_dtype, missing_value, texts_of
from worker.tables.id_values import to_json_values


@dataclass(frozen=True, slots=True)
class CheckedColumn:
    """values: an array as in `worker.models.columns.typed_columns`, null where missing or wrong.
    faults: code -> mask of the rows that have it."""

    column: Column
    values: Any
    faults: dict[str, Any]
    cells: Any
    """The values of the file before they were converted, as a pyarrow array."""

    def finding(self, code: str, row: int) -> Finding:
        """The fault of one cell, without its place. row: its index in `values`."""
        if code == "null":
            expected = f"{_with_article(self.column.type)} in every row"
            return empty_cell(f"is empty, expected {expected}", expected, short_name(self.column.name))
        (cell,) = to_json_values(self.cells[row : row + 1])
        expected = expected_value(self.column) if code == "unknown_category" else _expected(self.column, cell)
        return mismatch("", code, shortened(repr(cell)), expected, short_name(self.column.name))


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
        is_known = pc.is_in(values, value_set=arrow_values(column, list(column.categories)).cast(values.type))
        is_unknown = ~is_known.to_numpy(zero_copy_only=False) & values.is_valid().to_numpy(zero_copy_only=False)
        if is_wrong is not None:
            is_unknown &= ~is_wrong
        if is_unknown.any():
            faults["unknown_category"] = is_unknown
    return CheckedColumn(column, values, faults, cells)


def _out_of_range(column: Column, values: Any) -> Any:
    """A mask of the values that the dtype cannot hold: numpy would wrap them or make them infinite."""
    bound = float_bound(column.value_dtype) if column.type is ColumnType.NUMBER else None
    if column.type is ColumnType.INTEGER:
        low, high = whole_bounds(column.value_dtype)
        if low == INT64_MIN:
            return None
        is_out = pc.fill_null(pc.or_(pc.less(values, low), pc.greater(values, high)), fill_value=False)
        is_out = is_out.to_numpy(zero_copy_only=False)
    elif bound is not None:
        is_out = pc.fill_null(pc.greater_equal(pc.abs(values), bound), fill_value=False)
        is_out = is_out.to_numpy(zero_copy_only=False)
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
    if signature.layout is Layout.TEXT:
        return texts_of(signature.columns[0], columns[0].to_pylist())
    if signature.layout is Layout.OBJECT:
        return list(map(msgspec.json.decode, columns[0].to_pylist()))
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
    dtype = holding_dtype(column) if column.widens and values.null_count else column.value_dtype
    if column.dtype == "category":
        return categorical(column, values)
    built = typed_values(column.type, dtype, values, missing_value(column))
    # A Series, because the frame would convert a plain array of objects to strings.
    return pd.Series(built, dtype=object) if column.dtype == "object" else built


def _expected(column: Column, cell: Any) -> str:
    """In words. The bounds of a number are named if the cell is one."""
    of_numbers = column.type in (ColumnType.NUMBER, ColumnType.INTEGER)
    if of_numbers:
        cell = parse_number(cell) if isinstance(cell, str) else float(cell)
    is_bounded = float_bound(column.value_dtype) or whole_bounds(column.value_dtype)[0] != INT64_MIN
    if column.texts is None and not (of_numbers and is_bounded and cell is not None):
        return _with_article(column.type)
    return expected_value(replace(column, categories=None, nullable=False), cell)


def _with_article(kind: ColumnType) -> str:
    return f"an {kind}" if kind is ColumnType.INTEGER else f"a {kind}"
