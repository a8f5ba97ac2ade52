"""Scores the answers of versions to the same rows, each version alone and in its difference from the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from queuecast.domain.gate import Score
from worker.evaluations.evaluated_versions import AnsweredVersion
from worker.scoring.answers import taken_answers
from worker.scoring.intervals import scores_of
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels


@dataclass(frozen=True, slots=True)
class MetricScore:
    """difference: of the score less that of the first version, row by row on the same rows."""

    metric: str
    score: Score | None
    difference: Score | None = None


@dataclass(frozen=True, slots=True)
class ScoredVersion:
    """scores: the first is by the primary metric. positions: of the scored rows, among those that fit the version.

    not_compared: why there is no difference from the first version.
    """

    answered: AnsweredVersion
    scores: tuple[MetricScore, ...]
    rows: LabelledRows
    positions: Any
    not_compared: str = ""


def scored_versions(versions: Sequence[AnsweredVersion], metric: str) -> list[ScoredVersion]:
    """On the rows that fit all of the versions. metric: the primary one."""
    places = reduce(np.intersect1d, (each.places for each in versions))
    first, found = versions[0], []
    first_rows = _rows_at(first, places)
    for version in versions:
        rows = first_rows if version is first else _rows_at(version, places)
        not_compared = _reason_against_pairs(first, first_rows, rows)
        pair = {"version": rows.versions["version"]}
        if version is not first and not not_compared:
            pair = {"first": first_rows.versions["version"], **pair}
        coded = with_coded_labels(LabelledRows(rows.target, pair, rows.weights))
        judged = {metric, version.metrics.deciding, *version.metrics.guards}
        scores = []
        for name in dict.fromkeys((metric, *version.metrics.names)):
            by_version = scores_of(name, coded, is_judged=name in judged)
            scores.append(MetricScore(name, by_version.get("version"), by_version.get("difference")))
        positions = np.searchsorted(version.places, places)
        found.append(ScoredVersion(version, tuple(scores), rows, positions, not_compared))
    return found


def _rows_at(version: AnsweredVersion, places: Any) -> LabelledRows:
    at = np.searchsorted(version.places, places)
    weights = None if version.weights is None else version.weights[at]
    return LabelledRows(version.target[at], {"version": taken_answers(version.answers, at)}, weights)


def _reason_against_pairs(first: AnsweredVersion, first_rows: LabelledRows, rows: LabelledRows) -> str:
    """Labels have the type of the version's own, so two versions may read the same cells as different labels."""
    same_kind = rows.target.dtype.kind == first_rows.target.dtype.kind
    if same_kind and np.array_equal(rows.target, first_rows.target):
        return ""
    return f"its labels are not those of version {first.version}, so their rows cannot be compared one by one"
