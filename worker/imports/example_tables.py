"""The JSON table in which `Client.push` sends example rows, and the frame or array that it stands for."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd

from queuecast.domain.columns.dtypes import kind_named
from queuecast.domain.columns.labels import FrameLabels
from queuecast.domain.columns.object_rows import ObjectRows
from queuecast.domain.errors import InvalidInputError, ModelRefusedError
from queuecast.domain.signature import Column, ColumnType, Layout, Missing, column_findings
from queuecast.tables.decoding_errors import plain_words
from worker.imports.notebook_comparison import NotebookAnswers
from worker.models.columns.column_facts import ColumnFacts
from worker.models.columns.typed_columns import ARROW, can_be_rebuilt
from worker.models.frames import SPARSE_CLASSES, column_of, unaligned_frame

TABLE_MEDIA_TYPE = "application/vnd.queuecast.table+json"


class TableColumn(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    dtype: str
    categories: list[str | int | float | bool] | None = None
    missing: list[Missing] = []
    """The kinds of missing values of an object column; empty if it has none, or if the client does not say."""
    possible: list[Missing] = []
    """Of a column without missing values: the kinds that one could be, if the client does not know the kind."""
    words: list[str] = []
    """The words of the whole column that a CSV cell could also mean as missing."""
    inner: str = ""
    """The dtype of the categories, or the class of Python's dates, times, durations or decimals."""
    is_ordered: bool = False
    objects: ObjectRows | None = None
    """The keys of all rows, if they are dicts."""

    def described(self) -> Column:
        """Raises ValueError for a dtype that the worker does not know."""
        dtype = self.inner or self.dtype
        kind = kind_named(dtype) if dtype != "object" else self._kind_of_objects()
        if kind is None or not (dtype == "object" or can_be_rebuilt(dtype)):
            raise ValueError(f"column {self.name!r} has the dtype {dtype}, which is not known")
        categories = None if self.categories is None else tuple(self.categories)
        return Column(
            self.name,
            ColumnType(kind),
            nullable=True,
            dtype=self.dtype,
            categories=categories,
            inner=self.inner,
            is_ordered=self.is_ordered,
        )

    def facts(self) -> ColumnFacts:
        inner = self.inner if self.dtype == "object" else ""
        missing = tuple(self.missing or self.possible)
        return ColumnFacts(missing, tuple(self.words), inner, is_sure=not self.possible, objects=self.objects)

    def _kind_of_objects(self) -> str | None:
        """Of categories that are Python objects."""
        types = {type(value) for value in self.categories or ()}
        return "string" if types <= {str} else "boolean" if types == {bool} else None


class Table(msgspec.Struct, forbid_unknown_fields=True):
    layout: Layout
    columns: list[TableColumn]
    rows: list[list[Any]]
    answers: NotebookAnswers | None = None
    sparse: str = ""
    """As in `Signature`."""
    labels: FrameLabels | None = None
    """The names of the columns, if they are not all text. The columns have their texts for names."""


def decode_table(data: bytes) -> Table:
    try:
        return msgspec.json.decode(data, type=Table)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"the example cannot be read as a JSON table: {plain_words(error)}") from None


def rows_of_table(table: Table) -> Any:
    n_columns = len(table.columns)
    for index, row in enumerate(table.rows):
        if len(row) != n_columns or n_columns == 0:
            raise ModelRefusedError(f"row {index} of the example has {len(row)} values and {n_columns} columns")
    if table.sparse and (table.layout is not Layout.ARRAY or table.sparse not in SPARSE_CLASSES):
        raise ModelRefusedError(f"the example is of the class {table.sparse}, expected a sparse matrix of scipy")
    try:
        if table.layout is Layout.ARRAY:
            return _array(table)
        values = zip(*table.rows, strict=True) if table.rows else ([] for _ in table.columns)
        pairs = list(zip(table.columns, values, strict=True))
        return unaligned_frame({column.name: _series(column, list(cells)) for column, cells in pairs})
    except (TypeError, ValueError, IndexError) as error:
        raise ModelRefusedError(f"the example rows do not fit their columns: {error}") from None


def _array(table: Table) -> Any:
    dtype = table.columns[0].dtype
    rows: Any = table.rows
    if any(_is_typed(column) for column in table.columns):
        array = np.empty((len(rows), len(table.columns)), dtype=dtype)
        for index, column in enumerate(table.columns):
            array[:, index] = _series(column, [row[index] for row in rows])
        return array
    if dtype == "object":
        rows = [[np.nan if value is None else value for value in row] for row in rows]
    return np.array(rows, dtype=dtype).reshape(len(rows), len(table.columns))


def _series(column: TableColumn, values: list[Any]) -> Any:
    if _is_typed(column):
        return typed_column(column, values)
    if column.dtype == "category":
        return pd.Categorical(values, categories=column.categories)
    if column.dtype == "object":
        return pd.Series([np.nan if value is None else value for value in values], dtype=object)
    return pd.Series(values, dtype=column.dtype)


def _is_typed(column: TableColumn) -> bool:
    """Whether pandas cannot make the column of JSON values and the dtype's name."""
    return (
        bool(column.inner)
        or column.dtype.startswith(("datetime64", "timedelta64", "Sparse["))
        or (column.dtype.endswith(ARROW))
    )


def typed_column(column: TableColumn, values: list[Any]) -> Any:
    described = column.described()
    for at, value in enumerate(values):
        for finding in column_findings(described, value, ""):
            raise ValueError(f"row {at}, column {column.name!r}: {finding.detail}")
    return column_of(described, values)
