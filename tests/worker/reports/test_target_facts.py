"""The facts of real estimators of every kind of target: two classes, many, several targets, numbers, and none."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from queuecast.domain.reports import OTHER_CLASSES, TargetFacts
from worker.reports.confusion import MAX_LABELS
from worker.reports.target_facts import target_facts
from worker.scoring.answers import answers_of
from worker.scoring.labelled_rows import LabelledRows

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
WORDS = np.where(X[:, 0] + 0.5 * RNG.normal(size=300) > 0, "yes", "no").astype(object)
THREE = np.array(["a", "b", "c"], dtype=object)[np.digitize(X[:, 1], [-0.5, 0.5])]
NUMBERS = X @ [1.0, 2.0, 0.0, 0.0] + 0.1 * RNG.normal(size=300)


def _facts(champion: Any, challenger: Any, target: Any, names: tuple[str, ...] = ("y",)) -> tuple[TargetFacts, ...]:
    """Both fitted on the first 200 rows, and asked for the other 100."""
    versions = {
        "champion": answers_of(champion.fit(X[:200, :2], target[:200]), X[200:, :2], None),
        "challenger": answers_of(challenger.fit(X[:200], target[:200]), X[200:], None),
    }
    return target_facts(names, LabelledRows(target[200:], versions), target[:200])


def test_facts_of_two_classes() -> None:
    model = LogisticRegression()

    (found,) = _facts(LogisticRegression(), model, WORDS)

    is_yes, probability = WORDS[200:] == "yes", model.predict_proba(X[200:])[:, 1]
    champion, challenger = found.versions
    assert (found.name, champion.role, challenger.role) == ("y", "champion", "challenger")
    assert challenger.curves[0].label == "yes"
    assert challenger.curves[0].roc.area == pytest.approx(roc_auc_score(is_yes, probability))
    assert challenger.curves[0].precision_recall.area == pytest.approx(average_precision_score(is_yes, probability))
    assert challenger.confusion is not None
    assert np.array_equal(challenger.confusion.counts, confusion_matrix(WORDS[200:], model.predict(X[200:])))
    assert challenger.calibration is not None
    assert challenger.residuals is None
    assert found.mean_change is None


def test_churn_is_the_share_of_rows_with_another_answer() -> None:
    first, second = LogisticRegression(), DecisionTreeClassifier(random_state=0)

    (found,) = _facts(first, second, WORDS)

    assert found.churn == (first.predict(X[200:, :2]) != second.predict(X[200:])).mean()


def test_rows_of_each_class_are_counted_on_both_sides() -> None:
    (found,) = _facts(LogisticRegression(), LogisticRegression(), THREE)

    expected = [(label, (THREE[:200] == label).sum(), (THREE[200:] == label).sum()) for label in "abc"]
    assert [(each.label, each.fitted, each.held_out) for each in found.rows] == expected


def test_many_classes_are_bounded() -> None:
    target = np.array([f"class {at % 50:02}" for at in range(300)], dtype=object)

    (found,) = _facts(DecisionTreeClassifier(), DecisionTreeClassifier(), target)

    assert len(found.rows) == MAX_LABELS + 1
    assert found.rows[-1].label == OTHER_CLASSES
    assert sum(each.fitted + each.held_out for each in found.rows) == 300


def test_three_classes_have_a_curve_each_and_the_calibration_of_the_answer() -> None:
    (found,) = _facts(LogisticRegression(), LogisticRegression(), THREE)

    for version in found.versions:
        assert {each.label for each in version.curves} == {"a", "b", "c"}
        assert version.calibration is not None
        assert version.calibration.label == ""


def test_a_classifier_without_probabilities_has_curves_and_no_calibration() -> None:
    model = LinearSVC()

    (found,) = _facts(LinearSVC(), model, WORDS)

    challenger = found.versions[1]
    expected = roc_auc_score(WORDS[200:] == "yes", model.decision_function(X[200:]))
    assert challenger.curves[0].roc.area == pytest.approx(expected)
    assert challenger.calibration is None


def test_a_label_that_only_the_file_has_is_a_row_of_the_matrix() -> None:
    target = WORDS.copy()
    target[250:260] = "maybe"

    (found,) = _facts(LogisticRegression(), LogisticRegression(), target)

    matrix = found.versions[1].confusion
    assert matrix is not None
    assert matrix.labels == ("maybe", "no", "yes")
    assert sum(matrix.counts[0]) == 10
    assert matrix.counts[0][0] == 0


def test_several_targets_have_facts_each() -> None:
    target = np.column_stack([WORDS, THREE])
    model = MultiOutputClassifier(LogisticRegression())

    found = _facts(MultiOutputClassifier(LogisticRegression()), model, target, ("first", "second"))

    predicted = model.predict(X[200:])
    assert [each.name for each in found] == ["first", "second"]
    for at, each in enumerate(found):
        matrix = each.versions[1].confusion
        assert matrix is not None
        assert np.array_equal(matrix.counts, confusion_matrix(target[200:, at], predicted[:, at]))


def test_labels_that_are_there_or_not_have_the_probability_that_they_are_there() -> None:
    target = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(int)
    model = MLPClassifier((8,), random_state=0)

    found = _facts(MLPClassifier((8,), random_state=0), model, target, ("a", "b"))

    probabilities = model.predict_proba(X[200:])
    for at, each in enumerate(found):
        expected = roc_auc_score(target[200:, at], probabilities[:, at])
        assert each.versions[1].curves[0].roc.area == pytest.approx(expected)


def test_facts_of_numbers() -> None:
    first, second = LinearRegression(), LinearRegression()

    (found,) = _facts(first, second, NUMBERS)

    target, answers = NUMBERS[200:], (first.predict(X[200:, :2]), second.predict(X[200:]))
    residuals = found.versions[1].residuals
    assert residuals is not None
    assert residuals.mean == pytest.approx((target - answers[1]).mean())
    assert found.churn == 1.0
    assert found.mean_change == pytest.approx(np.abs(answers[1] - answers[0]).mean() / target.std())
    assert sum(each.held_out for each in found.rows) == 100


def test_a_challenger_alone_has_facts_without_churn() -> None:
    answers = answers_of(LogisticRegression().fit(X[:200], WORDS[:200]), X[200:], None)

    (found,) = target_facts(("y",), LabelledRows(WORDS[200:], {"challenger": answers}), WORDS[:200])

    assert ([each.role for each in found.versions], found.churn) == (["challenger"], None)


def test_an_estimator_that_answers_neither_classes_nor_numbers_has_no_facts() -> None:
    answers = answers_of(KMeans(2).fit(X[:200]), X[200:], None)

    assert target_facts(("y",), LabelledRows(WORDS[200:], {"challenger": answers}), WORDS[:200]) == ()
