"""Confusion matrices: the counts are scikit-learn's, and rare classes are counted together."""

import numpy as np
from sklearn.metrics import confusion_matrix

from queuecast.domain.reports import OTHER_CLASSES
from worker.reports.confusion import MAX_LABELS, confusion


def test_counts_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    target, predictions = rng.integers(0, 4, 300), rng.integers(0, 4, 300)

    found = confusion(("a", "b", "c", "d"), target, predictions)

    assert found.labels == ("a", "b", "c", "d")
    assert np.array_equal(found.counts, confusion_matrix(target, predictions))


def test_classes_that_no_row_has_and_no_version_answers_are_left_out() -> None:
    found = confusion(("a", "b", "c"), np.array([0, 0, 2]), np.array([0, 2, 2]))

    assert found.labels == ("a", "c")
    assert found.counts == ((1, 1), (0, 1))


def test_rare_classes_are_counted_together() -> None:
    target = np.concatenate([np.repeat(np.arange(40), 2), np.arange(30)])
    labels = tuple(map(str, range(40)))

    found = confusion(labels, target, target)

    assert found.labels == (*labels[:MAX_LABELS], OTHER_CLASSES)
    assert found.counts[-1][-1] == 20
    assert sum(map(sum, found.counts)) == len(target)


def test_an_answer_that_is_no_label_is_counted_with_the_others() -> None:
    found = confusion(("a", "b"), np.array([0, 1]), np.array([0, -1]))

    assert found.labels == ("a", "b", OTHER_CLASSES)
    assert found.counts == ((1, 0, 0), (0, 0, 1), (0, 0, 0))
