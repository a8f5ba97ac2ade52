"""Whether the probabilities of a classifier come true as often as they say."""

from typing import Any

import numpy as np
from sklearn.calibration import calibration_curve

from queuecast.domain.reports import Calibration, CalibrationBin


def calibration(labels: tuple[str, ...], target: Any, probabilities: Any) -> Calibration:
    """Judges the second of two classes, or else the most probable class of each row.

    target: codes. probabilities: (n_rows, n_labels).
    """
    if len(labels) == 2:
        label, claimed, happened = labels[1], probabilities[:, 1], target == 1
    else:
        label, claimed, happened = "", probabilities.max(axis=1), target == probabilities.argmax(axis=1)
    claimed, happened = np.clip(claimed, 0.0, 1.0), happened.astype(np.int64)
    observed, predicted = calibration_curve(happened, claimed, pos_label=1, n_bins=10)
    counts = np.bincount(np.searchsorted(np.linspace(0.0, 1.0, 11)[1:-1], claimed))  # as in calibration_curve
    counts = counts[counts > 0]
    bins = tuple(
        CalibrationBin(float(claim), float(share), int(count))
        for claim, share, count in zip(predicted, observed, counts, strict=True)
    )
    return Calibration(label, bins, float(np.average(np.abs(observed - predicted), weights=counts)))
