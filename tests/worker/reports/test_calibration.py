"""Calibration: the bins are scikit-learn's, and the error is the definition's."""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from worker.reports.calibration import calibration


def _expected_error(claimed: Any, happened: Any) -> float:
    """Naeini, Cooper and Hauskrecht (2015), bin by bin."""
    error = 0.0
    for at in range(10):
        is_in = (claimed > at / 10) & (claimed <= (at + 1) / 10) if at else claimed <= 0.1
        if is_in.any():
            error += is_in.mean() * abs(claimed[is_in].mean() - happened[is_in].mean())
    return error


def test_bins_of_two_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    claimed = rng.random(1000) ** 2
    target = (rng.random(1000) < claimed**1.5).astype(int)

    found = calibration(("no", "yes"), target, np.column_stack([1 - claimed, claimed]))

    observed, predicted = calibration_curve(target, claimed, n_bins=10)
    assert found.label == "yes"
    assert [each.observed for each in found.bins] == pytest.approx(observed)
    assert [each.predicted for each in found.bins] == pytest.approx(predicted)
    assert sum(each.n_rows for each in found.bins) == 1000
    assert found.error == pytest.approx(_expected_error(claimed, target))


def test_many_classes_are_judged_by_the_class_that_is_answered() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.3, 0.3, 0.4], [0.75, 0.2, 0.05]])
    target = np.array([0, 1, 0, 1])

    found = calibration(("a", "b", "c"), target, probabilities)

    claimed, happened = np.array([0.8, 0.6, 0.4, 0.75]), np.array([1, 1, 0, 0])
    assert found.label == ""
    assert found.error == pytest.approx(_expected_error(claimed, happened))


def test_certain_answers_have_bins_too() -> None:
    found = calibration(("no", "yes"), np.array([0, 1, 1]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))

    assert [(each.predicted, each.observed, each.n_rows) for each in found.bins] == [(0.0, 0.0, 1), (1.0, 1.0, 2)]
    assert found.error == 0


def test_a_weight_of_two_is_the_row_twice() -> None:
    rng = np.random.default_rng(3)
    target, weights = rng.integers(0, 2, 200), rng.integers(0, 3, 200)
    second = rng.random(200)
    probabilities = np.column_stack([1 - second, second])

    found = calibration(("no", "yes"), target, probabilities, weights.astype(float))

    expected = calibration(("no", "yes"), np.repeat(target, weights), np.repeat(probabilities, weights, axis=0))
    assert [each.predicted for each in found.bins] == pytest.approx([each.predicted for each in expected.bins])
    assert [each.observed for each in found.bins] == pytest.approx([each.observed for each in expected.bins])
    assert found.error == pytest.approx(expected.error)
    assert sum(each.n_rows for each in found.bins) == 200
