"""Finds the columns that no step of an estimator reads, such as those that a ColumnTransformer drops.

The transformers say which columns they read, and a trial proves it: without the other columns, the estimator has the
same answers. A column that is not found to be unread counts as read, so a mistake asks for too much, and changes no
answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from queuecast.domain.work import Method
from worker.models.columns.known_values import parts_on_same_columns
from worker.models.inference import infer_frame
from worker.models.learning.nullability import search
from worker.models.learning.same_answers import is_same_answer


def unread_columns(estimator: Any, rows: Any, outputs: Mapping[str, list[Any]]) -> frozenset[str]:
    """rows: a few rows of the fit, a DataFrame or an array, whose columns are all read. outputs: method -> answers."""
    if not isinstance(rows, pd.DataFrame):
        return frozenset()
    names = [str(name) for name in rows.columns]
    read = _names_read(estimator, names)
    candidates = [at for at, name in enumerate(names) if name not in read]

    def accepts(at: Sequence[int]) -> bool:
        return _answers_without(estimator, rows, [names[each] for each in at], outputs)

    if not candidates or len(candidates) == len(names):
        return frozenset()
    if not accepts(candidates):
        candidates = sorted(search(accepts, [candidates]))
        if not candidates or not accepts(candidates):
            return frozenset()
    return frozenset(names[at] for at in candidates)


def _answers_without(estimator: Any, rows: Any, names: list[str], outputs: Mapping[str, list[Any]]) -> bool:
    frame = rows.drop(columns=names)
    try:
        return all(
            is_same_answer(infer_frame(estimator, Method(method), frame), output) for method, output in outputs.items()
        )
    except Exception:  # an estimator raises what it likes
        return False


def _names_read(part: Any, names: list[str]) -> set[str]:
    """The names of the columns that a part of an estimator may read. names: of the columns that it gets."""
    if isinstance(part, Pipeline):
        first = next((step for _, step in part.steps if step is not None and step != "passthrough"), None)
        return _names_read(first, names)
    if isinstance(part, ColumnTransformer):
        return _names_read_by_columns(part, names)
    inner: list[Any] = []
    if isinstance(part, FeatureUnion):
        inner = [each for _, each in part.transformer_list if each != "drop"]
    elif isinstance(part, BaseEstimator):
        inner = list(parts_on_same_columns(part, len(names)))
    read = set() if inner else set(names)
    for each in inner:
        if len(read) < len(names):  # the trees of a forest are many
            read |= _names_read(each, names)
    return read


def _names_read_by_columns(part: ColumnTransformer, names: list[str]) -> set[str]:
    positions = getattr(part, "_transformer_to_input_indices", {})
    read: set[str] = set()
    for name, inner, _ in getattr(part, "transformers_", ()):
        if inner == "drop":
            continue
        if name not in positions or max(positions[name], default=0) >= len(names):
            return set(names)
        read |= _names_read(inner, [names[at] for at in positions[name]])
    return read
