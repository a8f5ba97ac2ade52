"""Scores champion and challenger by all chosen metrics on one set of rows."""

from typing import Any

import numpy as np

from queuecast.domain.errors import short_name
from queuecast.domain.gate import GateSettings, MetricScores, RowSet
from worker.scoring.intervals import scores_of
from worker.scoring.labelled_rows import LabelledRows
from worker.scoring.metrics import ChosenMetrics, default_margin

CHAMPION, CHALLENGER = "champion", "challenger"


def row_set(rows: LabelledRows, metrics: ChosenMetrics, settings: GateSettings, baselines: dict[str, float]) -> RowSet:
    """rows: with coded labels, and the versions CHAMPION (if it can be compared) and CHALLENGER.

    baselines: by metric, the score of an estimator that knows no features.
    """
    judged = {metrics.deciding, *metrics.guards}
    scores = []
    for name in metrics.names:
        found = scores_of(name, rows, is_judged=name in judged)
        champion = found.get(CHAMPION)
        margin = 0.0
        if name in judged:
            reference = champion.value if champion else 0.0
            margin = settings.margins.get(name, default_margin(name, reference, baselines.get(name, 0.0)))
        scores.append(MetricScores(name, champion, found.get(CHALLENGER), found.get("difference"), margin))
    return RowSet(rows.n_rows, tuple(scores), None)


def class_rows(target: Any, *, are_classes: bool) -> dict[str, int] | None:
    """The rows of each class of one target, the largest 100; None without classes."""
    if not are_classes or np.ndim(target) != 1:
        return None
    labels, counts = np.unique(np.asarray(target).astype(str), return_counts=True)
    order = np.argsort(counts)[::-1][:100]
    return {short_name(str(labels[at])): int(counts[at]) for at in order}
