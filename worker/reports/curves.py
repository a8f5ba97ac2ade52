"""ROC and precision-recall curves of a classifier, thinned to few points with nearly the same area."""

from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from queuecast.domain.reports import ClassCurves, Curve
from worker.reports.rounding import rounded

MAX_POINTS = 200


def class_curves(labels: tuple[str, ...], target: Any, ranks: Any, weights: Any = None) -> tuple[ClassCurves, ...]:
    """Curves of the second of two classes, or of the five with the most rows.

    target: codes. ranks: (n_rows, n_labels). weights: (n_rows,), how much each row counts; None if all count alike.
    """
    counts = np.bincount(target, minlength=len(labels))
    codes = [1] if len(labels) == 2 else np.argsort(-counts, kind="stable")[:5]
    return tuple(
        _of_class(labels[code], target == code, ranks[:, code], weights)
        for code in codes
        if _have_weight(target == code, weights) and np.isfinite(ranks[:, code]).all()
    )


def _have_weight(is_class: Any, weights: Any) -> bool:
    """Whether the class and the other rows both count: else there is no curve."""
    counted = is_class if weights is None else is_class[weights > 0]
    return bool(counted.any() and not counted.all())


def _of_class(label: str, is_class: Any, ranks: Any, weights: Any) -> ClassCurves:
    false_alarms, found, _ = roc_curve(is_class, ranks, sample_weight=weights)
    precision, recall, _ = precision_recall_curve(is_class, ranks, sample_weight=weights, drop_intermediate=True)
    return ClassCurves(
        label,
        int(is_class.sum()),
        _curve(false_alarms, found, roc_auc_score(is_class, ranks, sample_weight=weights)),
        _curve(recall[::-1], precision[::-1], average_precision_score(is_class, ranks, sample_weight=weights)),
    )


def _curve(x: Any, y: Any, area: float) -> Curve:
    x, y = thinned(x, y)
    return Curve(rounded(x, 5), rounded(y, 5), float(area))


def thinned(x: Any, y: Any) -> tuple[Any, Any]:
    """At most MAX_POINTS of the points of a line, its ends among them.

    The points whose triangles with their neighbors are the smallest go first (Visvalingam and Whyatt 1993). A long line
    is first reduced to points at even distances along it.
    """
    if len(x) > 20 * MAX_POINTS:
        length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        even = np.searchsorted(length, np.linspace(0.0, length[-1], 20 * MAX_POINTS))
        kept = np.unique([0, *np.minimum(even, len(x) - 1), len(x) - 1])
        x, y = x[kept], y[kept]
    while len(x) > MAX_POINTS:
        triangles = np.abs((x[1:-1] - x[:-2]) * (y[2:] - y[:-2]) - (x[2:] - x[:-2]) * (y[1:-1] - y[:-2]))
        smallest = np.argsort(triangles, kind="stable")[: max(1, min(len(x) - MAX_POINTS, len(x) // 10))]
        is_dropped = np.zeros(len(x), dtype=bool)
        is_dropped[smallest + 1] = True
        is_dropped[2:] &= ~is_dropped[1:-1]  # the triangle of a point changes with its neighbor
        x, y = x[~is_dropped], y[~is_dropped]
    return x, y
