"""Reads the example rows of a pushed model: a CSV file, or the JSON table that `Client.push` sends."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.labels import FrameLabels, numbered
from queuecast.domain.errors import InvalidInputError, ModelRefusedError, short_name
from queuecast.domain.findings.bounds import and_more, list_names
from queuecast.domain.signature import Layout, Missing
from queuecast.estimators.row_kinds import DICTS_OF_CSV, refusal_of_rows, takes_dicts, takes_texts
from queuecast.tables.column_names import FIRST_NAMELESS
from queuecast.tables.plain_values import class_of_objects
from worker.imports.example_tables import (
    TABLE_MEDIA_TYPE,
    Table,
    TableColumn,
    decode_table,
    rows_of_table,
    typed_column,
)
from worker.imports.notebook_comparison import NotebookAnswers
from worker.imports.whole_row_examples import dicts_of_table, read_texts_of_csv, texts_of_table
from worker.models.columns.column_facts import ColumnFacts, kinds_of, words_of
from worker.models.columns.frame_labels import index_of
from worker.models.columns.known_values import known_values
from worker.models.frames import MISSING_VALUES, as_fitted, scalar
from worker.models.signatures import Naming
from worker.tables.csv_reader import read_csv


@dataclass(frozen=True, slots=True)
class Example:
    """rows: in the form that the estimator was fitted on, a DataFrame with text names, a 2-D array, a sparse matrix,
    texts or dicts.

    facts: those that the client knows of the whole columns, by name.
    """

    rows: Any
    facts: dict[str, ColumnFacts]
    answers: NotebookAnswers | None = None
    naming: Naming = field(default_factory=Naming)


def read_example(path: Path, media_type: str, estimator: Any, target: tuple[str, ...]) -> Example:
    """The feature rows.

    Raises InvalidInputError when the file cannot be read, is empty or lacks a column that the estimator names.
    """
    refusal = refusal_of_rows(estimator)
    if refusal:
        raise ModelRefusedError(refusal, code="unsupported_rows")
    facts: dict[str, ColumnFacts] = {}
    answers, labels, sparse = None, None, ""
    if media_type == TABLE_MEDIA_TYPE:
        table = decode_table(path.read_bytes())
        facts = {column.name: column.facts() for column in table.columns}
        if not table.layout.has_columns:
            return Example(_whole_rows(table), facts, table.answers)
        rows, answers, labels, sparse = rows_of_table(table), table.answers, _labels(table, estimator), table.sparse
        sent_names = [column.name for column in table.columns]
    elif takes_texts(estimator):
        return Example(*read_texts_of_csv(path, target))
    elif takes_dicts(estimator):
        raise InvalidInputError(DICTS_OF_CSV)
    else:
        rows = _read_csv(path, estimator, target)
    if len(rows) == 0:
        raise InvalidInputError("the example has no rows; expected some of the rows that the estimator was fitted on")
    names: tuple[str, ...] = ()
    if isinstance(rows, pd.DataFrame) and labels is None:
        frame, rows = rows, _features(rows, estimator, target)
        if not isinstance(rows, pd.DataFrame):
            names = tuple(str(name) for name in frame.columns if name not in target)
        if answers is not None and answers.rows and len(answers.rows[0]) != len(sent_names):
            raise InvalidInputError("the rows of the answers do not have the columns of the example")
        if answers is not None:
            places = {name: place for place, name in enumerate(sent_names)}
            answers = answers.of_columns([places[name] for name in _kept_names(rows, sent_names, target)])
    width = getattr(estimator, "n_features_in_", rows.shape[1])
    if rows.shape[1] != width:
        raise InvalidInputError(f"the example has {rows.shape[1]} feature columns, the estimator was fitted on {width}")
    rows = _with_missing_values(rows, estimator, facts, names)
    return Example(as_fitted(sparse, rows), facts, answers, Naming(names, labels))


def _labels(table: Table, estimator: Any) -> FrameLabels | None:
    """None for a frame with text names, and for an estimator that knows text names."""
    if table.labels is None or hasattr(estimator, "feature_names_in_"):
        return None
    try:
        index = index_of(table.labels)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ModelRefusedError(f"the names of the example's columns cannot be made: {error}") from None
    if len(index) != len(table.columns):
        raise ModelRefusedError(f"the example has {len(table.columns)} columns and {len(index)} names")
    return table.labels


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
                frame[name] = typed_column(column, cells)
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


def _with_missing_values(
    rows: Any, estimator: Any, facts: dict[str, ColumnFacts], names_of_array: Sequence[str]
) -> Any:
    """The rows with the missing values of the fit: those that the client names, else those that an encoder learned.

    Neither JSON nor CSV tells None from NaN, so they were read as NaN.
    """
    is_frame = isinstance(rows, pd.DataFrame)
    names = [str(name) for name in rows.columns] if is_frame else names_of_array or numbered(rows.shape[1])
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
        return features.to_numpy(copy=True)  # one that can be written to
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


def _whole_rows(table: Table) -> Any:
    if len(table.columns) != 1 or not table.rows:
        raise InvalidInputError("the example has no rows; expected some of the rows that the estimator was fitted on")
    (column,) = table.columns
    if table.layout is Layout.OBJECT:
        return dicts_of_table(table.rows)
    return texts_of_table(column.name, column.dtype, column.facts(), table.rows)
