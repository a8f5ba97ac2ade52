"""The area under the ROC curve of many draws of the same rows.

It is the share of pairs of a positive and a negative row that the scores order rightly; a tie counts half (Hanley and
McNeil 1982). The rows are sorted once for all draws: scikit-learn's function takes 6 ms for each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from worker.scoring.answers import Answers

AREAS = ("roc_auc", "roc_auc_ovr")

Area = Callable[[Any], float]
"""The area of the rows at some positions; nan if a class is missing there."""


def area_of(metric: str, target: Any, answers: Answers) -> Area | None:
    """The same as scikit-learn's scorer; None for answers of another kind. target: coded labels, as the classes."""
    classes = answers.classes
    if metric not in AREAS or np.ndim(target) != 1 or not answers.is_classifier or classes is None:
        return None
    if metric == "roc_auc":
        scores = answers.outputs.get("decision_function", answers.probabilities)
        if len(classes) != 2 or scores is None:
            return None
        return _area(target == classes[1], scores if scores.ndim == 1 else scores[:, 1])
    if answers.probabilities is None or len(classes) < 3 or set(np.unique(target).tolist()) != set(classes):
        return None
    parts = [_area(target == label, answers.probabilities[:, at]) for at, label in enumerate(classes)]
    return lambda positions: float(np.mean([part(positions) for part in parts]))


def _area(is_positive: Any, scores: Any) -> Area:
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    positive = is_positive[order]

    def area(positions: Any) -> float:
        drawn = np.bincount(positions, minlength=len(scores))[order].astype(float)
        of_positive = np.add.reduceat(drawn * positive, starts)
        of_negative = np.add.reduceat(drawn * ~positive, starts)
        n_pairs = of_positive.sum() * of_negative.sum()
        if not n_pairs:
            return float("nan")
        return float((of_positive * (np.cumsum(of_negative) - of_negative / 2)).sum() / n_pairs)

    return area
