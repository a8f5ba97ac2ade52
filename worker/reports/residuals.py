"""The errors of a regressor: their distribution, and some rows to draw."""

from typing import Any

import numpy as np

from queuecast.domain.reports import Residuals
from worker.reports.rounding import significant


def residuals(target: Any, predictions: dict[str, Any]) -> dict[str, Residuals]:
    """By role. target: (n_rows,); predictions: by role, (n_rows,). Rows with numbers that are not finite are left out.

    Both histograms have the same edges, so that they can be compared.
    """
    is_finite = np.logical_and.reduce([np.isfinite(each) for each in (target, *predictions.values())])
    if not is_finite.any():
        return {}
    errors = {role: (target - each)[is_finite] for role, each in predictions.items()}
    low, high = np.quantile(np.concatenate(list(errors.values())), [0.005, 0.995])  # a few outliers would hide the rest
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 26)
    n_rows = int(is_finite.sum())
    shown = np.sort(np.random.default_rng(0).choice(n_rows, min(n_rows, 200), replace=False))
    return {role: _of_one(each, predictions[role][is_finite], edges, shown) for role, each in errors.items()}


def _of_one(errors: Any, predictions: Any, edges: Any, shown: Any) -> Residuals:
    counts, _ = np.histogram(np.clip(errors, edges[0], edges[-1]), edges)
    return Residuals(
        float(errors.mean()),
        float(errors.std()),
        significant(np.quantile(errors, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])),
        significant(edges),
        tuple(counts.tolist()),
        significant(predictions[shown]),
        significant(errors[shown]),
    )
