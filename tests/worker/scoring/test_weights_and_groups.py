"""Scores with weights, and intervals of rows that belong together."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from worker.scoring.answers import Answers
from worker.scoring.intervals import point, scores_of
from worker.scoring.labelled_rows import LabelledRows

DRAW = np.random.default_rng(0)
TARGET = DRAW.integers(0, 2, 400)
WEIGHTS = DRAW.random(400) * 5


def _answers(seed: int) -> Answers:
    chance = np.clip(0.25 + 0.5 * TARGET + np.random.default_rng(seed).normal(scale=0.25, size=400), 0.01, 0.99)
    outputs = {"predict": (chance > 0.5).astype(int), "predict_proba": np.column_stack([1 - chance, chance])}
    return Answers(outputs, [0, 1], is_classifier=True, is_regressor=False)


def test_scores_equal_those_of_scikit_learn_with_the_same_weights() -> None:
    answers = _answers(1)
    rows = LabelledRows(TARGET, {"it": answers}, WEIGHTS)
    chance = answers.probabilities[:, 1]

    found = {name: point(name, rows, "it") for name in ("neg_log_loss", "roc_auc", "balanced_accuracy")}

    assert found == pytest.approx(
        {
            "neg_log_loss": -log_loss(TARGET, chance, sample_weight=WEIGHTS),
            "roc_auc": roc_auc_score(TARGET, chance, sample_weight=WEIGHTS),
            "balanced_accuracy": balanced_accuracy_score(TARGET, answers.predictions, sample_weight=WEIGHTS),
        }
    )


@pytest.mark.parametrize("metric", ["neg_log_loss", "roc_auc", "balanced_accuracy"])
def test_equal_weights_count_as_none(metric: str) -> None:
    plain = LabelledRows(TARGET, {"it": _answers(1)})
    weighted = LabelledRows(TARGET, {"it": _answers(1)}, np.full(400, 3.0))

    found, expected = scores_of(metric, weighted)["it"], scores_of(metric, plain)["it"]

    assert found.value == pytest.approx(expected.value)
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.2)


@pytest.mark.parametrize("metric", ["neg_log_loss", "roc_auc", "balanced_accuracy"])
def test_rows_that_belong_together_say_less(metric: str) -> None:
    """Each row four times, as one group: the interval is that of the rows alone, and not half of it."""
    once = LabelledRows(TARGET, {"it": _answers(1)})
    places = np.repeat(np.arange(400), 4)
    outputs = {name: values[places] for name, values in _answers(1).outputs.items()}
    copies = {"it": Answers(outputs, [0, 1], is_classifier=True, is_regressor=False)}
    grouped = LabelledRows(TARGET[places], copies, None, places)
    alone = LabelledRows(TARGET[places], copies)

    widths = {
        name: (score := scores_of(metric, rows)["it"]).high - score.low
        for name, rows in {"once": once, "grouped": grouped, "alone": alone}.items()
    }

    assert widths["grouped"] == pytest.approx(widths["once"], rel=0.2)
    assert widths["alone"] < 0.65 * widths["once"]


def test_rows_without_any_weight_have_no_score() -> None:
    rows = LabelledRows(TARGET, {"it": _answers(1)}, np.zeros(400))

    assert scores_of("neg_log_loss", rows) == {}
