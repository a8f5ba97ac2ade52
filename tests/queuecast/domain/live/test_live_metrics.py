"""Live metrics: the values are scikit-learn's, and the intervals are as wide as the scores really vary."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    roc_auc_score,
)

from queuecast.domain.errors import ConflictError, InvalidInputError
from queuecast.domain.live.live_metrics import LiveScore, live_scores
from queuecast.domain.live.live_rows import live_rows, require_outcomes
from queuecast.domain.model import Manifest
from tests.queuecast.domain.records import a_manifest

CLASSES = ["no", "yes"]


def _drawn(seed: int, n_rows: int = 300) -> tuple[Any, Any]:
    """True labels as 0 and 1, and the probabilities of the second class."""
    draw = np.random.default_rng(seed)
    truth = (draw.random(n_rows) < 0.3).astype(int)
    return truth, np.round(1 / (1 + np.exp(-(2 * truth - 1 + draw.normal(size=n_rows)))), 2)  # with ties


def _of_labels(truth: Any, second: Any) -> dict[str, LiveScore]:
    result = {"probabilities": np.column_stack([1 - second, second]).tolist(), "classes": CLASSES}
    rows = live_rows([CLASSES[at] for at in truth], result)
    return {each.metric: each for each in live_scores(rows)}


def _of_numbers(seed: int, n_rows: int = 200) -> tuple[Any, Any, dict[str, LiveScore]]:
    draw = np.random.default_rng(seed)
    truth = draw.normal(size=n_rows)
    answers = truth + 0.5 * draw.normal(size=n_rows)
    found = live_scores(live_rows(truth.tolist(), {"predictions": answers.tolist()}))
    return truth, answers, {each.metric: each for each in found}


def test_scores_of_labels_are_those_of_scikit_learn() -> None:
    truth, second = _drawn(0)

    found = _of_labels(truth, second)

    predicted = (second > 0.5).astype(int)
    expected = {
        "accuracy": accuracy_score(truth, predicted),
        "balanced_accuracy": balanced_accuracy_score(truth, predicted),
        "neg_log_loss": -log_loss(truth, second),
        "roc_auc": roc_auc_score(truth, second),
    }
    assert {name: each.score.value for name, each in found.items()} == pytest.approx(expected)
    assert {each.n_rows for each in found.values()} == {300}


def test_scores_of_numbers_are_those_of_scikit_learn() -> None:
    truth, answers, found = _of_numbers(0)

    expected = {
        "neg_mean_absolute_error": -mean_absolute_error(truth, answers),
        "neg_mean_squared_error": -mean_squared_error(truth, answers),
        "r2": r2_score(truth, answers),
    }
    assert {name: each.score.value for name, each in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc", "r2"])
def test_an_interval_has_the_true_score_in_about_95_of_100_samples(metric: str) -> None:
    def found(seed: int, n_rows: int) -> LiveScore:
        return _of_numbers(seed, n_rows)[2][metric] if metric == "r2" else _of_labels(*_drawn(seed, n_rows))[metric]

    true = found(999, 100_000).score.value
    scores = [found(seed, 200).score for seed in range(200)]

    inside = sum(score.lowest <= true <= score.highest for score in scores)
    assert 180 <= inside <= 199


def test_answers_without_probabilities_have_no_log_loss() -> None:
    rows = live_rows(["no", "yes", "yes"], {"predictions": ["no", "yes", "no"], "classes": CLASSES})

    assert [(each.metric, each.n_rows) for each in live_scores(rows)] == [("accuracy", 3), ("balanced_accuracy", 3)]


@pytest.mark.parametrize("rows", [[], [["no", "no", 0.9, 0.1, False]], [[1.0, 1.0]]])
def test_few_rows_have_scores_without_bounds_or_none(rows: list[Any]) -> None:
    for each in live_scores(rows):
        assert each.n_rows == 1
        assert each.score.lowest <= each.score.value <= each.score.highest


def test_rows_without_an_answer_are_left_out() -> None:
    assert live_rows([1.0, 2.0], {"predictions": [1.5, None]}) == [[1.0, 1.5]]
    assert live_rows([True, False], {"predictions": [None, 1], "classes": [False, True]}) == [
        [False, 1, None, None, None]
    ]
    assert live_rows([1.0], {"predictions": [1.0, 2.0]}) == []


def _required(outcomes: list[Any], result: dict[str, Any], known: Manifest) -> None:
    require_outcomes(outcomes, {"method": "predict"} | result, known)


@pytest.mark.parametrize(
    ("outcomes", "pointer", "detail"),
    [
        (["no"], "/outcomes", "found 1 outcomes, expected 2, one for each row"),
        (["no", "maybe"], "/outcomes/1", 'found string "maybe", expected one of string "no", string "yes"'),
        ([None, "yes"], "/outcomes/0", 'found null, expected one of string "no", string "yes"'),
        ([["no"], "yes"], "/outcomes/0", 'found a list, expected one of string "no", string "yes"'),
    ],
)
def test_outcomes_that_are_no_labels_are_refused(outcomes: list[Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        _required(outcomes, {"predictions": ["no", "yes"]}, a_manifest(classes=CLASSES))

    assert refused.value.findings[0].pointer == pointer
    assert refused.value.findings[0].detail == detail


@pytest.mark.parametrize("outcome", [True, "1", None])
def test_the_outcomes_of_a_regressor_are_numbers(outcome: Any) -> None:
    with pytest.raises(InvalidInputError, match="expected a number"):
        _required([outcome], {"predictions": [1.0]}, a_manifest(classes=None, target=("y",)))


@pytest.mark.parametrize(
    ("changes", "method", "reason"),
    [
        ({"classes": [0, 1]}, "transform", "the job called transform"),
        ({"classes": [[0, 1], [0, 1]]}, "predict", "several targets"),
        ({"classes": None, "target": ("a", "b")}, "predict", "several targets"),
        ({"classes": None, "target": ()}, "predict", "is unknown"),
    ],
)
def test_answers_that_no_outcome_can_be_compared_with(changes: dict[str, Any], method: str, reason: str) -> None:
    with pytest.raises(ConflictError, match=reason):
        _required([1], {"method": method, "predictions": [1]}, a_manifest(**changes))
