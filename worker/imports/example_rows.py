"""Reads the example rows of a pushed model: a CSV file, or the JSON table that `Client.push` sends."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from queuecast.domain.errors import InvalidInputError, ModelRefusedError
from queuecast.domain.signature import Layout
from worker.tables.csv_reader import read_csv

TABLE_MEDIA_TYPE = "application/vnd.queuecast.table+json"


class TableColumn(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    dtype: str
    categories: list[str | int | bool] | None = None


class Table(msgspec.Struct, forbid_unknown_fields=True):
    layout: Layout
    columns: list[TableColumn]
    rows: list[list[Any]]


def read_example(path: Path, media_type: str, estimator: Any, target: tuple[str, ...]) -> Any:
    """The feature rows in the form that the estimator was fitted on: a DataFrame or a 2-D array.

    Raises InvalidInputError when the file cannot be read, is empty or lacks a column that the estimator names.
    """
    rows = _read_table(path.read_bytes()) if media_type == TABLE_MEDIA_TYPE else read_csv(path)
    if len(rows) == 0:
        raise InvalidInputError("the example has no rows; expected some of the rows that the estimator was fitted on")
    if isinstance(rows, pd.DataFrame):
        rows = _features(rows, estimator, target)
    width = getattr(estimator, "n_features_in_", rows.shape[1])
    if rows.shape[1] != width:
        raise InvalidInputError(f"the example has {rows.shape[1]} feature columns, the estimator was fitted on {width}")
    return rows


def _features(frame: Any, estimator: Any, target: tuple[str, ...]) -> Any:
    """The columns that the estimator names; an array if it was fitted without names."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return frame.drop(columns=list(target), errors="ignore").to_numpy()
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"the example lacks the column {missing[0]!r} that the estimator was fitted on; it has "
            + ", ".join(map(str, frame.columns))
        )
    return frame[list(names)]


def _read_table(data: bytes) -> Any:
    try:
        table = msgspec.json.decode(data, type=Table)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"the example cannot be read as a JSON table: {error}") from None
    try:
        if table.layout is Layout.ARRAY:
            return _array(table)
        values = zip(*table.rows, strict=True) if table.rows else ([] for _ in table.columns)
        pairs = list(zip(table.columns, values, strict=True))
        return pd.DataFrame({column.name: _series(column, list(cells)) for column, cells in pairs})
    except (TypeError, ValueError, IndexError) as error:
        raise ModelRefusedError(f"the example rows do not fit their columns: {error}") from None


def _array(table: Table) -> Any:
    dtype = table.columns[0].dtype
    rows: Any = table.rows
    if dtype == "object":
        rows = [[np.nan if value is None else value for value in row] for row in rows]
    return np.array(rows, dtype=dtype).reshape(len(rows), len(table.columns))


def _series(column: TableColumn, values: list[Any]) -> Any:
    if column.dtype == "category":
        return pd.Categorical(values, categories=column.categories)
    if column.dtype == "object":
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)
    return pd.Series(values, dtype=column.dtype)
