"""Reads the example rows of a pushed model: a CSV file, or the JSON table that `Client.push` sends."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from queuecast.domain.columns.dtypes import kind_named
from queuecast.domain.errors import InvalidInputError, ModelRefusedError, short_name
from queuecast.domain.findings.bounds import and_more, list_names
from queuecast.domain.signature import Column, ColumnType, Layout, Missing, column_findings
from queuecast.estimators.row_kinds import takes_texts
from queuecast.tables.column_names import FIRST_NAMELESS
from queuecast.tables.decoding_errors import plain_words
from queuecast.tables.plain_values import class_of_objects
from worker.imports.notebook_comparison import NotebookAnswers
from worker.imports.text_examples import read_texts_of_csv, texts_of_table
from worker.models.columns.column_facts import ColumnFacts, kinds_of, words_of
from worker.models.columns.known_values import known_values
from worker.models.columns.typed_columns import ARROW, can_be_rebuilt
from worker.models.frames import MISSING_VALUES, SPARSE_CLASSES, as_fitted, column_of, scalar, unaligned_frame
from worker.tables.csv_reader import read_csv

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
        return ColumnFacts(tuple(self.missing or self.possible), tuple(self.words), inner, is_sure=not self.possible)

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


@dataclass(frozen=True, slots=True)
class Example:
    """rows: in the form that the estimator was fitted on, a DataFrame, a 2-D array, a sparse matrix or
    texts.

    facts: those that the client knows of the whole columns, by name.
    """

    rows: Any
    facts: dict[str, ColumnFacts]
    answers: NotebookAnswers | None = None


def read_example(path: Path, media_type: str, estimator: Any, target: tuple[str, ...]) -> Example:
    """The feature rows.

    Raises InvalidInputError when the file cannot be read, is empty or lacks a column that the estimator names.
    """
    facts: dict[str, ColumnFacts] = {}
    answers, sparse = None, ""
    if media_type == TABLE_MEDIA_TYPE:
        table = _decode_table(path.read_bytes())
        facts = {column.name: column.facts() for column in table.columns}
        if table.layout is Layout.TEXT:
            return Example(_texts(table), facts, table.answers)
        rows, answers, sparse = _rows(table), table.answers, table.sparse
        sent_names = [column.name for column in table.columns]
    elif takes_texts(estimator):
        return Example(*read_texts_of_csv(path, target))
    else:
        rows = _read_csv(path, estimator, target)
    if len(rows) == 0:
        raise InvalidInputError("the example has no rows; expected some of the rows that the estimator was fitted on")
    if isinstance(rows, pd.DataFrame):
        rows = _features(rows, estimator, target)
        if answers is not None and answers.rows and len(answers.rows[0]) != len(sent_names):
            raise InvalidInputError("the rows of the answers do not have the columns of the example")
        if answers is not None:
            places = {name: place for place, name in enumerate(sent_names)}
            answers = answers.of_columns([places[name] for name in _kept_names(rows, sent_names, target)])
    width = getattr(estimator, "n_features_in_", rows.shape[1])
    if rows.shape[1] != width:
        raise InvalidInputError(f"the example has {rows.shape[1]} feature columns, the estimator was fitted on {width}")
    rows = _with_missing_values(rows, estimator, facts)
    return Example(as_fitted(sparse, rows), facts, answers)


def _read_csv(path: Path, estimator: Any, target: tuple[str, ...]) -> Any:
    """The file as pandas reads it, but the words that an encoder learned are words."""
    frame = read_csv(path)
    names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
    names = names or [str(name) for name in frame.columns if name not in target]
    known = known_values(estimator, names)
    words = {name: words_of(values) for name, values in known.items()}
    if any(words.values()):
        frame = read_csv(path, {str(name): words.get(str(name), ()) for name in frame.columns})
    for name, values in known.items():
        column = _learned_column(name, values)
        if column is not None and name in frame.columns:
            cells = [scalar(cell) for cell in frame[name]]
            try:
                frame[name] = _typed(column, cells)
            except ValueError as error:
                raise InvalidInputError(f"the example does not fit the estimator: {error}") from None
    return frame


def _learned_column(name: str, values: list[Any]) -> TableColumn | None:
    """The column, if an encoder has learned dates, times, durations or decimals of it. CSV has them as words."""
    kinds = {str(value.dtype) for value in values if isinstance(value, np.datetime64 | np.timedelta64)}
    if len(kinds) == 1:
        return TableColumn(name, kinds.pop())
    with suppress(ValueError):  # of several classes, which no row can have
        of_class = class_of_objects(values)
        return TableColumn(name, "object", inner=of_class) if of_class else None
    return None


def _with_missing_values(rows: Any, estimator: Any, facts: dict[str, ColumnFacts]) -> Any:
    """The rows with the missing values of the fit: those that the client names, else those that an encoder learned.

    Neither JSON nor CSV tells None from NaN, so they were read as NaN.
    """
    is_frame = isinstance(rows, pd.DataFrame)
    names = [str(name) for name in rows.columns] if is_frame else [f"x{index}" for index in range(rows.shape[1])]
    learned = known_values(estimator, names)
    filled: dict[Any, Any] = {}
    for index, name in enumerate(names):
        kinds = facts.get(name, ColumnFacts()).missing or kinds_of(learned[name])
        if not kinds or kinds[0] is Missing.NAN or not _holds_words(rows.iloc[:, index] if is_frame else rows):
            continue
        fill = MISSING_VALUES[kinds[0]]
        if is_frame:
            values = [fill if pd.isna(value) else value for value in rows.iloc[:, index]]
            filled[rows.columns[index]] = pd.Series(values, dtype=object, index=rows.index)
        else:
            rows[:, index] = [fill if pd.isna(value) else value for value in rows[:, index]]
    if not filled:
        return rows
    # Column by column, pandas would copy the other columns each time.
    return pd.concat([rows.drop(columns=list(filled)), pd.DataFrame(filled)], axis=1)[list(rows.columns)]


def _holds_words(values: Any) -> bool:
    return str(values.dtype) in ("object", "str")


def _kept_names(rows: Any, sent_names: list[str], target: tuple[str, ...]) -> list[str]:
    if isinstance(rows, pd.DataFrame):
        return [str(name) for name in rows.columns]
    return [name for name in sent_names if name not in target]


def _features(frame: Any, estimator: Any, target: tuple[str, ...]) -> Any:
    """The columns that the estimator names; an array if it was fitted without names."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        features = frame.drop(columns=list(target), errors="ignore")
        _require_no_index(features, estimator)
        return features.to_numpy()
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InvalidInputError(
            f"the example lacks the column {short_name(str(missing[0]))!r} that the estimator was fitted on"
            f"{and_more(len(missing) - 1)}; it has {list_names(list(map(str, frame.columns)))}"
        )
    return frame[list(names)]


def _require_no_index(features: Any, estimator: Any) -> None:
    """Raises InvalidInputError if the features are one too many, and the first is the index that pandas wrote."""
    if features.shape[1] - 1 == getattr(estimator, "n_features_in_", None) and features.columns[0] == FIRST_NAMELESS:
        raise InvalidInputError(
            f"the first column of the example has no name, as pandas writes an index, and the estimator was fitted on "
            f"{features.shape[1] - 1} columns; leave it out with to_csv(index=False)"
        )


def _decode_table(data: bytes) -> Table:
    try:
        return msgspec.json.decode(data, type=Table)
    except msgspec.MsgspecError as error:
        raise InvalidInputError(f"the example cannot be read as a JSON table: {plain_words(error)}") from None


def _texts(table: Table) -> Any:
    if len(table.columns) != 1 or not table.rows:
        raise InvalidInputError("the example has no texts; expected some of the texts that the estimator was fitted on")
    (column,) = table.columns
    return texts_of_table(column.name, column.dtype, column.facts(), table.rows)


def _rows(table: Table) -> Any:
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
        return _typed(column, values)
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


def _typed(column: TableColumn, values: list[Any]) -> Any:
    described = column.described()
    for at, value in enumerate(values):
        for finding in column_findings(described, value, ""):
            raise ValueError(f"row {at}, column {column.name!r}: {finding.detail}")
    return column_of(described, values)
