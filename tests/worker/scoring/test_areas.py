"""The area under the ROC curve of draws, against scikit-learn on each of them."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.tree import DecisionTreeClassifier

from worker.scoring.answers import answers_of
from worker.scoring.areas import area_of


@pytest.mark.parametrize(
    ("estimator", "n_classes", "metric"),
    [
        (LogisticRegression(), 2, "roc_auc"),
        (RidgeClassifier(), 2, "roc_auc"),
        (DecisionTreeClassifier(max_depth=2, random_state=0), 2, "roc_auc"),
        (LogisticRegression(), 3, "roc_auc_ovr"),
        (LogisticRegression(), 2, "average_precision"),
        (DecisionTreeClassifier(max_depth=2, random_state=0), 2, "average_precision"),
    ],
    ids=["probabilities", "decisions", "ties", "three classes", "precision", "precision with ties"],
)
def test_the_area_of_drawn_rows_is_that_of_scikit_learn(estimator: object, n_classes: int, metric: str) -> None:
    features, target = make_classification(300, 6, n_informative=4, n_classes=n_classes, flip_y=0.3, random_state=0)
    fitted = estimator.fit(features, target)  # type: ignore[attr-defined]
    area = area_of(metric, target, answers_of(fitted, features, None))
    assert area is not None

    for seed in range(20):
        drawn = np.random.default_rng(seed).integers(0, 300, 200)
        assert area(drawn) == pytest.approx(get_scorer(metric)(fitted, features[drawn], target[drawn]), rel=1e-12)


def test_rows_of_one_class_have_no_area() -> None:
    features, target = make_classification(100, random_state=0)
    area = area_of("roc_auc", target, answers_of(LogisticRegression().fit(features, target), features, None))

    assert area is not None
    assert np.isnan(area(np.flatnonzero(target == 1)))
