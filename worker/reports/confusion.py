"""The confusion matrix of a classifier, bounded in classes."""

from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix

from queuecast.domain.reports import OTHER_CLASSES, Confusion

MAX_LABELS = 30


def confusion(labels: tuple[str, ...], target: Any, predictions: Any) -> Confusion:
    """Rows of classes beyond the MAX_LABELS largest are counted together. target, predictions: codes."""
    present = np.union1d(target, predictions[predictions >= 0])
    sizes = np.bincount(target, minlength=len(labels))
    shown = np.sort(sorted(present, key=lambda code: -sizes[code])[:MAX_LABELS])
    other = len(labels)  # also for a label that is not known
    target, predictions = (np.where(np.isin(each, shown), each, other) for each in (target, predictions))
    has_other = bool((target == other).any() or (predictions == other).any())
    counts = confusion_matrix(target, predictions, labels=[*shown, *([other] if has_other else [])])
    names = [labels[code] for code in shown] + ([OTHER_CLASSES] if has_other else [])
    return Confusion(tuple(names), tuple(tuple(row) for row in counts.tolist()))
