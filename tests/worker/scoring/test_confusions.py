"""Metrics of many confusion matrices, against scikit-learn on each of them."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

from worker.scoring.confusions import COUNT_METRICS, confusions

EXPECTED = {
    "balanced_accuracy": balanced_accuracy_score,
    "f1_macro": lambda true, found: f1_score(true, found, average="macro"),
    "matthews_corrcoef": matthews_corrcoef,
}


@pytest.mark.parametrize("metric", COUNT_METRICS)
@pytest.mark.filterwarnings("ignore")
def test_each_draw_has_the_score_of_scikit_learn(metric: str) -> None:
    draw = np.random.default_rng(0)
    kinds = np.array([[true, found] for true in range(3) for found in range(3)])
    numbers = draw.integers(0, 20, size=(50, 9))
    numbers[0] = [5, 1, 0, 0, 0, 0, 2, 0, 4]  # a class without rows
    numbers[1] = [5, 0, 0, 0, 0, 0, 0, 0, 0]  # one class only

    found = COUNT_METRICS[metric](confusions(numbers, kinds[:, 0] * 3 + kinds[:, 1], 3))

    for at, counts in enumerate(numbers):
        rows = np.repeat(kinds, counts, axis=0)
        assert found[at] == pytest.approx(EXPECTED[metric](rows[:, 0], rows[:, 1])), numbers[at]
