"""Finds the columns in which an estimator takes a missing value, by calls with missing values in them.

All columns are tried at once, and only where that fails, groups and halves of them. Each call costs time in proportion
to the columns, so their number has a bound: then a few columns speak for those that the estimator treats alike. A
column that was not found to take missing values refuses them, so the bound never leads to a wrong answer.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.signature import Column, Layout, Missing, Signature
from queuecast.domain.work import Method
from worker.models.columns.widening import widened
from worker.models.frames import SPARSE_WITHOUT_MISSING, as_fitted, frame_of
from worker.models.inference import infer_frame
from worker.models.learning.alike_columns import group_alike
from worker.models.learning.same_answers import is_same_answer

Positions = Sequence[int]


def with_nullable(
    estimator: Any, signature: Signature, rows: Sequence[Any], outputs: Mapping[str, list[Any]]
) -> tuple[Column, ...]:
    """The columns of the signature, marked where they may be missing. outputs: method -> those for the rows."""
    candidates = [
        at for at, column in enumerate(signature.columns) if column.read and _can_be_missing(column, signature.layout)
    ]
    nullable: set[int] = set()
    if candidates:
        trials = MissingTrials(estimator, signature, rows, outputs)
        if trials.accepts(candidates):
            nullable = set(candidates)
        else:
            nullable = search(trials.accepts, group_alike(estimator, signature, rows, candidates))
    return tuple(
        replace(column, nullable=at in nullable or not column.read) for at, column in enumerate(signature.columns)
    )


def _can_be_missing(column: Column, layout: Layout) -> bool:
    """An array of strings cannot hold a missing value, and a sparse column of integers or booleans has none."""
    return not column.dtype.startswith(SPARSE_WITHOUT_MISSING) and (layout is not Layout.ARRAY or column.dtype != "str")


def search(accepts: Callable[[Positions], bool], groups: Iterable[Positions], max_trials: int = 200) -> set[int]:
    """The positions that are accepted, among groups which together were not.

    Groups are halved until their halves are accepted or single. In a group too large for that, three positions are
    tried alone, and if none of them is accepted, the group counts as refused.
    """
    accepted: set[int] = set()
    pending = deque(groups)
    trials = 0
    while pending and trials < max_trials:
        group = pending.popleft()
        trials += 1
        middle = len(group) // 2
        if accepts(group):
            accepted.update(group)
        elif 2 * len(group) - 2 > max_trials - trials:
            samples = (group[0], group[middle], group[-1])
            trials += len(samples)
            if any(accepts([at]) for at in samples):
                pending += [group[:middle], group[middle:]]
        elif middle:
            pending += [group[:middle], group[middle:]]
    return accepted


class MissingTrials:
    """Calls of an estimator for a few rows with missing values in some columns."""

    def __init__(
        self, estimator: Any, signature: Signature, rows: Sequence[Any], outputs: Mapping[str, list[Any]]
    ) -> None:
        columns = tuple(replace(column, nullable=True) for column in signature.columns)
        signature = replace(signature, columns=columns)
        names = [column.name for column in columns]
        nothing = [None] * len(columns) if signature.takes_lists else dict.fromkeys(names)
        self._estimator = estimator
        self._signature = signature
        self._outputs = outputs
        self._frame = frame_of(signature, rows)
        self._tried = self._frame[:5]
        self._empty = frame_of(signature, [nothing] * len(self._tried))

    def accepts(self, at: Positions) -> bool:
        """Whether the estimator has answers for rows without values in the columns `at`, and whether the dtypes that
        these columns get then change no answer to a row that has all its values."""
        columns = [self._signature.columns[each] for each in at]
        widening = [column for column in columns if column.widens]
        frame = self._without_values(at)
        output = self._answer(widened(frame, widening))
        if output is None or any(isinstance(value, float) and math.isnan(value) for value in output):
            return False
        if any(column.dtype == "bool" for column in widening) and isinstance(frame, pd.DataFrame):
            # pandas has None in such a column, or NaN after `read_csv`: which one the caller means is not known.
            as_none = widened(frame, [replace(column, missing=Missing.NONE) for column in widening])
            if not is_same_answer(self._answer(as_none), output):
                return False
        return not widening or self._answers_wide(widening)

    def _answers_wide(self, widening: Sequence[Column]) -> bool:
        frame = widened(self._frame, widening)
        return all(is_same_answer(self._answer(frame, method), output) for method, output in self._outputs.items())

    def _answer(self, frame: Any, method: str | None = None) -> list[Any] | None:
        try:
            rows = as_fitted(self._signature.sparse, frame, self._signature.labels)
            return infer_frame(self._estimator, Method(method or self._signature.methods[0]), rows)
        except Exception:  # an estimator raises what it likes
            return None

    def _without_values(self, at: Positions) -> Any:
        if isinstance(self._tried, pd.DataFrame):
            names = [self._signature.columns[each].name for each in at]
            # Column by column, pandas would copy the other columns each time.
            return pd.concat([self._tried.drop(columns=names), self._empty[names]], axis=1)[list(self._tried.columns)]
        frame = self._tried.astype(np.result_type(self._tried, self._empty))
        frame[:, list(at)] = self._empty[:, list(at)]
        return frame
