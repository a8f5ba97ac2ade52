"""Scores a version on rows with their outcomes, without numpy: the gateway has none.

Metrics have the names and signs of scikit-learn's scorers. Intervals hold in 95 of 100 cases for many rows; each says
where it is from.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from queuecast.domain.gate import Score
from queuecast.domain.gate.evidence import TWO_SIDED_95
from queuecast.domain.live.live_rows import LiveRow, is_same

SMALLEST = 2.0**-52  # as scikit-learn clips probabilities


@dataclass(frozen=True, slots=True)
class LiveScore:
    """n_rows: on which it was computed; without probabilities a row has no log loss."""

    metric: str
    n_rows: int
    score: Score


def live_scores(rows: Sequence[LiveRow]) -> list[LiveScore]:
    """rows: of one version. Rows of a regressor have two values."""
    labelled = [row for row in rows if len(row) > 2]
    numbers = [row for row in rows if len(row) == 2]
    return [*_of_labels(labelled), *_of_numbers(numbers)]


def _of_labels(rows: Sequence[LiveRow]) -> list[LiveScore]:
    if not rows:
        return []
    hits = [is_same(row[0], row[1]) for row in rows]
    found = [
        LiveScore("accuracy", len(rows), _share(sum(hits), len(hits))),
        LiveScore("balanced_accuracy", len(rows), _mean_recall(rows, hits)),
    ]
    logs = [math.log(min(max(row[2], SMALLEST), 1 - SMALLEST)) for row in rows if row[2] is not None]
    if logs:
        found.append(LiveScore("neg_log_loss", len(logs), _mean(logs)))
    ranked = [row for row in rows if row[3] is not None]
    area = _area(ranked)
    if area is not None:
        found.append(LiveScore("roc_auc", len(ranked), area))
    return found


def _of_numbers(rows: Sequence[LiveRow]) -> list[LiveScore]:
    if not rows:
        return []
    errors = [truth - answer for truth, answer in rows]
    found = [
        LiveScore("neg_mean_absolute_error", len(rows), _mean([-abs(error) for error in errors])),
        LiveScore("neg_mean_squared_error", len(rows), _mean([-(error**2) for error in errors])),
    ]
    mean = sum(truth for truth, _ in rows) / len(rows)
    squares = [(truth - mean) ** 2 for truth, _ in rows]
    spread = sum(squares) / len(rows)
    if spread > 0:
        ratio = sum(error**2 for error in errors) / len(rows) / spread
        # The delta method: R2 is 1 less a ratio of two means, whose linear terms are these.
        terms = [(ratio * square - error**2) / spread for error, square in zip(errors, squares, strict=True)]
        found.append(LiveScore("r2", len(rows), _around(1 - ratio, _standard_error(terms))))
    return found


def _share(count: int, n_rows: int) -> Score:
    """The interval of Wilson (1927)."""
    share, z2 = count / n_rows, TWO_SIDED_95**2
    middle = (share + z2 / (2 * n_rows)) / (1 + z2 / n_rows)
    half = TWO_SIDED_95 / (1 + z2 / n_rows) * math.sqrt(share * (1 - share) / n_rows + z2 / (4 * n_rows**2))
    return Score(share, max(0.0, middle - half), min(1.0, middle + half))


def _mean_recall(rows: Sequence[LiveRow], hits: Sequence[bool]) -> Score:
    """The mean of independent shares, each with the variance of Agresti and Coull (1998)."""
    sizes, found = Counter[Any](), Counter[Any]()
    for row, hit in zip(rows, hits, strict=True):
        label = (isinstance(row[0], bool), row[0])
        sizes[label] += 1
        found[label] += hit
    value = sum(found[label] / size for label, size in sizes.items()) / len(sizes)
    shares = [((found[label] + 2) / (size + 4), size + 4) for label, size in sizes.items()]
    variance = sum(share * (1 - share) / size for share, size in shares) / len(sizes) ** 2
    score = _around(value, math.sqrt(variance))
    return Score(value, max(0.0, score.lowest), min(1.0, score.highest))


def _mean(values: Sequence[float]) -> Score:
    """The central limit theorem."""
    return _around(sum(values) / len(values), _standard_error(values))


def _standard_error(values: Sequence[float]) -> float:
    """Of the mean; nan for one value."""
    if len(values) < 2:
        return math.nan
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))


def _around(value: float, standard_error: float) -> Score:
    half = TWO_SIDED_95 * standard_error
    return Score(value, value - half, value + half) if math.isfinite(half) else Score(value)


def _area(rows: Sequence[LiveRow]) -> Score | None:
    """The area under the ROC curve with the interval of DeLong, DeLong and Clarke-Pearson (1988), from midranks.

    None unless rows of both classes are there.
    """
    sides = defaultdict[bool, list[float]](list)
    for row in rows:
        sides[row[4]].append(row[3])
    positive, negative = sides[True], sides[False]
    if not positive or not negative:
        return None
    among_all = _midranks([*positive, *negative])
    among_positive, among_negative = _midranks(positive), _midranks(negative)
    of_positive = [(among_all[value] - among_positive[value]) / len(negative) for value in positive]
    of_negative = [1 - (among_all[value] - among_negative[value]) / len(positive) for value in negative]
    score = _around(
        sum(of_positive) / len(positive), math.hypot(_standard_error(of_positive), _standard_error(of_negative))
    )
    return Score(score.value, max(0.0, score.lowest), min(1.0, score.highest)) if score.low is not None else score


def _midranks(values: Sequence[float]) -> dict[float, float]:
    """The mean rank of each value, from 1 on."""
    ranks, before = {}, 0
    for value, same in groupby(sorted(values)):
        count = len(list(same))
        ranks[value] = before + (count + 1) / 2
        before += count
    return ranks
