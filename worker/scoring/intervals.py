"""Scores and their differences with 95 % intervals from a paired bootstrap: all versions on the same resampled rows.

The bounds are percentiles of the resampled scores (Efron and Tibshirani 1993, chapter 13). If there are many rows,
fewer are drawn each time, and the distance from the score shrinks with the root of their share (the m out of n
bootstrap, Bickel, Götze and van Zwet 1997). The draws have a fixed seed: the same rows give the same interval.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.metrics import get_scorer

from queuecast.domain.gate import Score
from worker.scoring.answers import replayed
from worker.scoring.areas import area_of
from worker.scoring.confusions import COUNT_METRICS, confusions
from worker.scoring.labelled_rows import LabelledRows
from worker.scoring.row_scores import row_scores

Statistic = Callable[[Any], float]
"""A score of the rows at some positions, an array that may have positions twice."""

_MOST_DRAWN = 10_000


def scores_of(metric: str, rows: LabelledRows, *, is_judged: bool = True) -> dict[str, Score]:
    """The score of each version that has one, and under "difference" that of the second less that of the first.

    metric: the name of a scorer of scikit-learn. rows: with coded labels. is_judged: False for a coarser interval of a
    metric whose draws cost much.
    """
    points = {name: point(metric, rows, name) for name in rows.versions}
    points = {name: value for name, value in points.items() if np.isfinite(value)}
    if not points:
        return {}
    draws = _resampled(metric, rows, points, is_judged=is_judged)
    if len(points) == 2 == len(rows.versions):
        first, second = points
        points["difference"] = points[second] - points[first]
        draws["difference"] = draws[second] - draws[first]
    return {name: _with_bounds(value, draws[name]) for name, value in points.items()}


def point(metric: str, rows: LabelledRows, name: str) -> float:
    """The score of one version on all rows; nan if it has none."""
    by_row = row_scores(metric, rows.target, rows.versions[name])
    if by_row is not None:
        return float(_mean(by_row, rows.weights)) if len(by_row) else float("nan")
    return _scorer(metric, rows, name)(np.arange(rows.n_rows))


def _mean(by_row: Any, weights: Any) -> Any:
    """Over the rows, the last axis; nan if no row has a weight."""
    if weights is None:
        return by_row.mean(axis=-1)
    with np.errstate(all="ignore"):
        return by_row @ weights / weights.sum()


def _with_bounds(value: float, deviations: Any) -> Score:
    found = deviations[np.isfinite(deviations)]
    if len(found) < len(deviations) / 2:  # such as a metric of all classes, in rows where one is rare
        return Score(value)
    low, high = np.percentile(found, [2.5, 97.5])
    return Score(value, min(value, value + float(low)), max(value, value + float(high)))


def _resampled(metric: str, rows: LabelledRows, points: dict[str, float], *, is_judged: bool) -> dict[str, Any]:
    """The deviations of resampled scores from `points`, by version, each an array with the same draws."""
    names = list(points)
    by_row = [row_scores(metric, rows.target, rows.versions[name]) for name in names]
    present = [each for each in by_row if each is not None]
    if len(present) == len(names):
        return _of_means(np.array(present), rows, names)
    if metric in COUNT_METRICS and _can_be_counted(rows, names):
        return _of_counts(metric, rows, names)
    areas = {name: area_of(metric, rows.target, rows.versions[name]) for name in names if rows.weights is None}
    statistics = {name: areas.get(name) or _scorer(metric, rows, name) for name in names}
    is_quick = is_judged or all(map(areas.get, names))
    found: dict[str, list[float]] = {name: [] for name in names}
    with config_context(assume_finite=True, skip_parameter_validation=True):  # half the time
        for positions, shrink in _draws(rows, *((200, _MOST_DRAWN) if is_quick else (50, 2_000))):
            for name, statistic in statistics.items():
                found[name].append(shrink * (statistic(positions) - points[name]))
    return {name: np.array(each) for name, each in found.items()}


def _can_be_counted(rows: LabelledRows, names: list[str]) -> bool:
    """Whether rows with the same label and the same answers are alike."""
    versions = [rows.versions[name] for name in names]
    have_labels = all(version.is_classifier and version.predictions is not None for version in versions)
    are_alike = rows.weights is None and rows.groups is None
    return have_labels and are_alike and np.ndim(rows.target) == 1 and rows.target.dtype.kind == "i"


def _of_means(by_row: Any, rows: LabelledRows, names: list[str]) -> dict[str, Any]:
    """by_row: (n_versions, n_rows)."""

    def mean(positions: Any) -> Any:
        return _mean(by_row[:, positions], None if rows.weights is None else rows.weights[positions])

    means = _mean(by_row, rows.weights)
    drawn = [shrink * (mean(positions) - means) for positions, shrink in _draws(rows, 500, _MOST_DRAWN)]
    return dict(zip(names, np.array(drawn).T, strict=True))


def _of_counts(metric: str, rows: LabelledRows, names: list[str]) -> dict[str, Any]:
    """Rows with the same label and the same answers are alike, so only their numbers are drawn."""
    columns = [rows.target, *(rows.versions[name].predictions for name in names)]
    kinds, counts = np.unique(np.column_stack(columns), axis=0, return_counts=True)
    numbers = np.random.default_rng(0).multinomial(rows.n_rows, counts / counts.sum(), size=1000)
    n_labels = int(kinds.max()) + 1
    found = {}
    for at, name in enumerate(names, 1):
        places = kinds[:, 0] * n_labels + kinds[:, at]
        score = COUNT_METRICS[metric]
        drawn = score(confusions(numbers, places, n_labels))
        found[name] = drawn - score(confusions(counts[None, :], places, n_labels))
    return found


def _draws(rows: LabelledRows, times: int, most: int) -> Iterator[tuple[Any, float]]:
    """Positions, and the factor by which deviations shrink to those of all rows. A group is drawn as a whole (the
    cluster bootstrap, Field and Welsh 2007)."""
    rng = np.random.default_rng(0)
    if rows.groups is None:
        n_drawn = min(rows.n_rows, most)
        for _ in range(times):
            yield rng.integers(0, rows.n_rows, n_drawn), (n_drawn / rows.n_rows) ** 0.5
        return
    order = np.argsort(rows.groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(rows.groups[order])) + 1)
    n_drawn = max(1, round(len(members) * min(1.0, most / rows.n_rows)))
    for _ in range(times):
        drawn = rng.integers(0, len(members), n_drawn)
        yield np.concatenate([members[group] for group in drawn]), (n_drawn / len(members)) ** 0.5


def _takes_no_weights(metric: str) -> bool:
    """Metrics that compare clusterings take none, nor does the largest error."""
    return metric == "neg_max_error" or (metric.endswith("_score") and not metric.startswith("d2_"))


def _scorer(metric: str, rows: LabelledRows, name: str) -> Statistic:
    scorer, estimator = get_scorer(metric), replayed(rows.versions[name])
    has_weights = rows.weights is not None and not _takes_no_weights(metric)

    def score(positions: Any) -> float:
        weights = {"sample_weight": rows.weights[positions]} if has_weights else {}
        try:
            with np.errstate(all="ignore"):  # resampled rows may divide by zero: nan, which is left out
                return float(scorer(estimator, positions, rows.target[positions], **weights))
        except (ValueError, AttributeError, TypeError):  # no such method, or a class that these rows lack
            return float("nan")

    return score
