"""Searches parameters by cross-validation on the rows that are fitted on, in bounded time.

The held-out rows take no part. A plain loop over scikit-learn's `ParameterSampler` and `cross_val_score`, because its
search classes cannot stop after a time with the best candidate, and report nothing on the way.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)

from queuecast.domain.errors import QueuecastError, RunFailedError, exception_text
from queuecast.domain.trainings.searching import Search, SearchKind, SearchSummary
from worker.trainings.challengers.candidates import draw_candidates


@dataclass(frozen=True, slots=True)
class SearchRows:
    """The rows to fit on.

    features: as an estimator takes them. target: array (n_rows,) or (n_rows, n_targets), or None. groups: (n_rows,), or
    None; no fold splits a group. arguments: of `fit`, such as weights, each (n_rows,).
    """

    features: Any
    target: Any
    groups: Any = None
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        return int(self.features.shape[0]) if hasattr(self.features, "shape") else len(self.features)


@dataclass(frozen=True, slots=True)
class Tries:
    """How candidates are tried.

    prepared: an unfitted estimator with the candidate's parameters; raises QueuecastError if they do not fit.
    metric: a scorer of scikit-learn; empty for the estimator's own.
    report: called with the candidates that are done and the number of all; it raises to stop the search.
    seed: of the candidates and folds.
    """

    prepared: Callable[[dict[str, Any]], Any]
    metric: str
    report: Callable[[int, int], None]
    seed: int
    clock: Callable[[], float] = time.monotonic


def find_params(search: Search, rows: SearchRows, tries: Tries, max_s: float) -> tuple[dict[str, Any], SearchSummary]:
    """The best candidate as JSON values, and a summary. No candidate is started after max_s, but the first one is.

    Raises RunFailedError if no candidate can be scored.
    """
    began = tries.clock()
    folds = _Folds(rows, search.cv, tries.seed, are_classes=is_classifier(tries.prepared({})))
    survivors = draw_candidates(search, tries.seed)
    sizes = _round_sizes(search.kind, len(survivors))
    best: tuple[float, dict[str, Any]] | None = None
    done, failed, problem, is_late = 0, 0, "", False
    for at, _ in enumerate(sizes):
        splits = folds.splits(rows.n_rows // 3 ** (len(sizes) - 1 - at))
        scored = []
        for candidate in survivors:
            is_late = done > 0 and tries.clock() - began >= max_s
            if is_late:
                break
            tries.report(done, sum(sizes))
            try:
                scored.append((_score(tries, candidate, rows, splits), candidate))
            except _UnscoredError as error:
                failed += 1
                problem = problem or str(error)
            done += 1
        scored.sort(key=lambda each: -each[0])
        best = scored[0] if scored else best
        if is_late or not scored:
            break
        survivors = [candidate for _, candidate in scored[: ceil(len(survivors) / 3)]]
    if best is None:
        raise RunFailedError(f"no candidate of the search could be scored: {problem}", code="fit_failed")
    seconds = round(tries.clock() - began, 3)
    return best[1], SearchSummary(search.kind, done, sum(sizes), failed, tries.metric, folds.number, best[0], seconds)


def _round_sizes(kind: SearchKind, n_candidates: int) -> list[int]:
    """The candidates of each round. Rounds of halving keep a third, and have three times the rows (Jamieson 2016)."""
    if kind is SearchKind.RANDOM:
        return [n_candidates]
    sizes = [n_candidates]
    while sizes[-1] >= 3:
        sizes.append(ceil(sizes[-1] / 3))
    return sizes


class _UnscoredError(Exception):
    """A candidate that cannot be fitted, or has no score."""


def _score(tries: Tries, candidate: dict[str, Any], rows: SearchRows, splits: list[Any]) -> float:
    try:
        estimator = tries.prepared(candidate)
    except QueuecastError as error:
        raise _UnscoredError(error.detail) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = cross_val_score(
                estimator,
                rows.features,
                rows.target,
                scoring=tries.metric or None,
                cv=splits,
                params=rows.arguments,
                error_score="raise",
            )
    except Exception as error:  # an estimator raises what it likes
        raise _UnscoredError(exception_text(error)) from error
    if not np.isfinite(scores).all():
        raise _UnscoredError(f"{tries.metric} is not finite")
    return float(scores.mean())


class _Folds:
    """The folds of a cross-validation, shuffled, and with all classes in each where their rows allow it."""

    def __init__(self, rows: SearchRows, cv: int, seed: int, *, are_classes: bool) -> None:
        self._n_rows, self._groups, self._seed = rows.n_rows, rows.groups, seed
        is_single = are_classes and rows.target is not None and np.size(rows.target) == rows.n_rows
        self._labels = np.ravel(rows.target).astype(str) if is_single else None
        smallest = self._n_rows if self._labels is None else int(np.unique(self._labels, return_counts=True)[1].min())
        self.number = max(2, min(cv, smallest))
        # With fewer rows, a class would be missing in some folds.
        self._least = ceil(self.number * self._n_rows / smallest)

    def splits(self, n_rows: int) -> list[Any]:
        """Pairs of positions to fit and to score on, of about `n_rows` rows in all."""
        at = self._sample(min(max(n_rows, self._least), self._n_rows))
        labels = None if self._labels is None else self._labels[at]
        groups = None if self._groups is None else self._groups[at]
        kinds = {
            (False, False): KFold,
            (True, False): StratifiedKFold,
            (False, True): GroupKFold,
            (True, True): StratifiedGroupKFold,
        }
        splitter = kinds[labels is not None, groups is not None](self.number, shuffle=True, random_state=self._seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
            return [(at[fitted], at[scored]) for fitted, scored in splitter.split(at, labels, groups)]

    def _sample(self, n_rows: int) -> Any:
        at = np.arange(self._n_rows)
        if n_rows == self._n_rows:
            return at
        labels = self._labels
        if labels is not None and np.unique(labels, return_counts=True)[1].min() < 2:
            labels = None
        return train_test_split(at, train_size=n_rows, random_state=self._seed, stratify=labels)[0]
