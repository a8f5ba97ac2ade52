"""ROC and precision-recall curves: the areas are scikit-learn's, and thinning keeps them."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from worker.reports.curves import MAX_POINTS, class_curves, thinned

LABELS = ("no", "yes")


def _ranked(n_rows: int, share: float, signal: float) -> tuple[Any, Any]:
    """Labels of which a share is 1, and scores that say more about them the stronger the signal is."""
    rng = np.random.default_rng(n_rows)
    target = (rng.random(n_rows) < share).astype(int)
    scores = signal * target + rng.normal(size=n_rows)
    return target, np.column_stack([-scores, scores])


@pytest.mark.parametrize("n_rows", [12, 500, 50_000])
@pytest.mark.parametrize(("share", "signal"), [(0.5, 1.0), (0.02, 2.0), (0.5, 0.0), (0.9, 4.0)])
def test_areas_are_those_of_scikit_learn_and_thinning_keeps_them(n_rows: int, share: float, signal: float) -> None:
    target, ranks = _ranked(n_rows, share, signal)
    target[:2] = (0, 1)

    (found,) = class_curves(LABELS, target, ranks)

    false_alarms, hits, _ = roc_curve(target, ranks[:, 1])
    precision, recall, _ = precision_recall_curve(target, ranks[:, 1])
    assert found.roc.area == pytest.approx(roc_auc_score(target, ranks[:, 1]), abs=1e-12)
    assert found.precision_recall.area == pytest.approx(average_precision_score(target, ranks[:, 1]), abs=1e-12)
    assert max(len(found.roc.x), len(found.precision_recall.x)) <= MAX_POINTS
    assert auc(found.roc.x, found.roc.y) == pytest.approx(auc(false_alarms, hits), abs=1e-3)
    assert auc(found.precision_recall.x, found.precision_recall.y) == pytest.approx(auc(recall, precision), abs=1e-3)


def test_a_curve_keeps_its_ends() -> None:
    x = np.linspace(0, 1, 3000)

    found_x, found_y = thinned(x, np.sqrt(x))

    assert (found_x[0], found_x[-1], found_y[0], found_y[-1]) == (0, 1, 0, 1)
    assert len(found_x) == MAX_POINTS


def test_a_curve_with_few_points_is_not_changed() -> None:
    x, y = np.array([0.0, 0.2, 1.0]), np.array([0.0, 0.9, 1.0])

    found = thinned(x, y)

    assert (found[0].tolist(), found[1].tolist()) == (x.tolist(), y.tolist())


def test_two_classes_have_one_curve_and_many_classes_have_those_of_the_five_largest() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(np.arange(7), [10, 70, 60, 50, 40, 30, 20])
    labels = tuple("abcdefg")

    found = class_curves(labels, target, rng.random((len(target), 7)))

    assert [(each.label, each.n_rows) for each in found] == [("b", 70), ("c", 60), ("d", 50), ("e", 40), ("f", 30)]


def test_a_class_without_rows_has_no_curve() -> None:
    assert class_curves(LABELS, np.zeros(5, dtype=int), np.random.default_rng(0).random((5, 2))) == ()


def test_weights_count_as_in_scikit_learn() -> None:
    target, ranks = _ranked(500, 0.4, 1.0)
    weights = np.random.default_rng(1).integers(0, 4, 500).astype(float)

    (found,) = class_curves(LABELS, target, ranks, weights)

    assert found.roc.area == pytest.approx(roc_auc_score(target, ranks[:, 1], sample_weight=weights))
    expected = average_precision_score(target, ranks[:, 1], sample_weight=weights)
    assert found.precision_recall.area == pytest.approx(expected)
    assert found.roc.area != pytest.approx(roc_auc_score(target, ranks[:, 1]))


def test_a_class_without_weight_has_no_curve() -> None:
    target, ranks = _ranked(50, 0.4, 1.0)

    assert class_curves(LABELS, target, ranks, (target == 0).astype(float)) == ()
