"""The metrics that are a mean over rows, row by row. They equal scikit-learn's, of which they are the terms."""

from collections.abc import Callable
from typing import Any

import numpy as np

from worker.scoring.answers import Answers

RowScores = Callable[[Any, Answers], Any]


def row_scores(metric: str, target: Any, answers: Answers) -> Any | None:
    """Array (n_rows,), more is better; None if the metric is no mean over rows, or the version lacks its method."""
    score = _SCORES.get(metric)
    try:
        return None if score is None else np.asarray(score(target, answers), dtype=np.float64)
    except (KeyError, TypeError, ValueError, IndexError):  # no such method, or answers of another kind
        return None


def _accuracy(target: Any, answers: Answers) -> Any:
    """With several targets, a row is right if all of them are (scikit-learn's subset accuracy)."""
    predicted = answers.outputs["predict"]
    same = np.asarray(predicted).reshape(np.shape(target)) == target
    return same if same.ndim == 1 else same.all(axis=1)


def _log_loss(target: Any, answers: Answers) -> Any:
    """The logarithm of the probability of the true label (Bishop 2006, 4.90), the mean over several targets."""
    probabilities = answers.outputs["predict_proba"]
    if isinstance(probabilities, list):
        each = [
            _log_of_true(target[:, at], part, classes)
            for at, (part, classes) in enumerate(zip(probabilities, answers.classes, strict=True))
        ]
        return np.mean(each, axis=0)
    return _log_of_true(target, probabilities, answers.classes)


def _log_of_true(target: Any, probabilities: Any, classes: Any) -> Any:
    if np.ndim(target) != 1 or np.shape(probabilities)[1] != len(classes):
        raise ValueError("several targets in one array")
    column = {label: at for at, label in enumerate(classes)}
    at = np.array([column.get(label, -1) for label in np.asarray(target).tolist()])
    found = np.where(at >= 0, probabilities[np.arange(len(at)), at], 0.0)
    smallest = np.finfo(np.asarray(probabilities).dtype).eps  # as scikit-learn clips them
    return np.log(np.clip(found, smallest, 1 - smallest))


def _absolute_error(target: Any, answers: Answers) -> Any:
    return -_over_targets(np.abs(answers.outputs["predict"].reshape(np.shape(target)) - target))


def _squared_error(target: Any, answers: Answers) -> Any:
    return -_over_targets((answers.outputs["predict"].reshape(np.shape(target)) - target) ** 2)


def _over_targets(errors: Any) -> Any:
    return errors if errors.ndim == 1 else errors.mean(axis=1)


def _recorded(metric: str) -> RowScores:
    """The scores that the answers have already."""
    return lambda _, answers: answers.outputs[metric]


LIKELIHOOD, NEARNESS = "log_likelihood", "neg_squared_distance"
"""Metrics of rows without a target: of a density, and the squared distance to the nearest center of a cluster."""

_SCORES: dict[str, RowScores] = {
    "accuracy": _accuracy,
    "neg_log_loss": _log_loss,
    "neg_mean_absolute_error": _absolute_error,
    "neg_mean_squared_error": _squared_error,
    LIKELIHOOD: _recorded(LIKELIHOOD),
    NEARNESS: _recorded(NEARNESS),
}
