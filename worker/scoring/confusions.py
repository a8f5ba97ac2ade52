"""Metrics of labels from many confusion matrices at once, for the draws of a bootstrap.

The formulas are scikit-learn's, whose functions take 4 ms for one matrix: the balanced accuracy is the mean recall of
the classes that have rows, F1 is 2 TP / (2 TP + FP + FN), and the correlation is Gorodkin's R_K (2004).
"""

from collections.abc import Callable
from typing import Any

import numpy as np


def confusions(numbers: Any, places: Any, n_labels: int) -> Any:
    """Matrices of shape (n_draws, n_labels, n_labels): label by answer.

    numbers: rows of each kind, shape (n_draws, n_kinds). places: of each kind in the flat matrix.
    """
    n_kinds = len(places)
    flat = np.zeros((n_kinds, n_labels * n_labels))
    flat[np.arange(n_kinds), places] = 1
    return (numbers @ flat).reshape(-1, n_labels, n_labels)


def _balanced_accuracy(matrices: Any) -> Any:
    right, rows = np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanmean(np.where(rows > 0, right / rows, np.nan), axis=1)


def _f1_macro(matrices: Any) -> Any:
    right = np.diagonal(matrices, axis1=1, axis2=2)
    both = matrices.sum(axis=1) + matrices.sum(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanmean(np.where(both > 0, 2 * right / both, np.nan), axis=1)


def _correlation(matrices: Any) -> Any:
    answered, rows = matrices.sum(axis=1), matrices.sum(axis=2)
    n_rows, right = rows.sum(axis=1), np.trace(matrices, axis1=1, axis2=2)
    cross = right * n_rows - (answered * rows).sum(axis=1)
    spread = (n_rows**2 - (answered**2).sum(axis=1)) * (n_rows**2 - (rows**2).sum(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, cross / np.sqrt(spread), 0.0)


COUNT_METRICS: dict[str, Callable[[Any], Any]] = {
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "matthews_corrcoef": _correlation,
}
