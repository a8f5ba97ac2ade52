"""Whether the probabilities of a classifier come true as often as they say."""

from typing import Any

import numpy as np

from queuecast.domain.reports import Calibration, CalibrationBin


def calibration(labels: tuple[str, ...], target: Any, probabilities: Any, weights: Any = None) -> Calibration:
    """Judges the second of two classes, or else the most probable class of each row, in ten bins of one width.

    target: codes. probabilities: (n_rows, n_labels). weights: (n_rows,), how much each row counts; None if all count
    alike. The bins are those of scikit-learn's `calibration_curve`, which takes no weights.
    """
    if len(labels) == 2:
        label, claimed, happened = labels[1], probabilities[:, 1], target == 1
    else:
        label, claimed, happened = "", probabilities.max(axis=1), target == probabilities.argmax(axis=1)
    claimed = np.clip(claimed, 0.0, 1.0)
    weights = np.ones(len(claimed)) if weights is None else weights
    places = np.searchsorted(np.linspace(0.0, 1.0, 11)[1:-1], claimed)

    def sums(values: Any) -> Any:
        return np.bincount(places, values, minlength=10)

    totals, counts = sums(weights), np.bincount(places, minlength=10)
    kept = totals > 0
    predicted, observed = (sums(weights * values)[kept] / totals[kept] for values in (claimed, happened))
    bins = tuple(
        CalibrationBin(float(claim), float(share), int(count))
        for claim, share, count in zip(predicted, observed, counts[kept], strict=True)
    )
    error = float(np.average(np.abs(observed - predicted), weights=totals[kept])) if kept.any() else 0.0
    return Calibration(label, bins, error)
