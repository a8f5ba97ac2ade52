"""Scores and agreement of versions on rows without a target."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest

from worker.scoring.answers import Answers
from worker.scoring.unlabelled import share_alike


def _answers(predictions: list[int]) -> Answers:
    return Answers({"predict": np.array(predictions)}, None, is_classifier=False, is_regressor=False)


@pytest.mark.parametrize(
    ("estimator", "first", "second", "share"),
    [
        (KMeans(), [0, 0, 1, 1, 2], [1, 1, 2, 2, 0], 1.0),
        (KMeans(), [0, 0, 1, 1, 2], [1, 1, 1, 2, 0], 0.8),
        (KMeans(), [0, 0, 0, 0], [0, 1, 2, 3], 0.25),
        (IsolationForest(), [1, 1, -1, -1], [1, -1, -1, -1], 0.75),
        (IsolationForest(), [1, 1], [-1, -1], 0.0),
    ],
)
def test_the_numbers_of_clusters_are_arbitrary(
    estimator: Any, first: list[int], second: list[int], share: float
) -> None:
    assert share_alike(_answers(first), _answers(second), estimator) == pytest.approx(share)
