"""Which metrics score a version, and how much of each may be lost without counting as worse."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from queuecast.domain.gate import GateSettings
from worker.models.updating import last_step
from worker.scoring.answers import Answers
from worker.scoring.row_scores import LIKELIHOOD

_CLASS_TABLE = ("accuracy", "balanced_accuracy", "f1_macro", "matthews_corrcoef")
_NUMBER_TABLE = ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error", "neg_median_absolute_error")


@dataclass(frozen=True, slots=True)
class ChosenMetrics:
    """deciding: empty if there is none for such an estimator. others: for the table only."""

    deciding: str
    guards: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in (self.deciding, *self.guards, *self.others) if name))


def chosen_metrics(settings: GateSettings, estimator: Any, answers: Answers, target: Any) -> ChosenMetrics:
    """answers: the challenger's. target: of the held-out rows."""
    if answers.is_classifier:
        found = _for_classes(answers, target)
    elif answers.is_regressor:
        found = _for_numbers(estimator)
    else:
        found = ChosenMetrics("")
    deciding = settings.metric or _of_search(estimator) or found.deciding
    guards = settings.guards if settings.guards is not None else found.guards
    return ChosenMetrics(
        deciding,
        tuple(name for name in guards if name != deciding),
        tuple(dict.fromkeys((found.deciding, *found.guards, *found.others, *settings.floors))),
    )


def default_margin(metric: str, champion: float, baseline: float) -> float:
    """The loss that counts as none. champion, baseline: scores of the champion and of an estimator without features.

    A log loss has no scale of its own, so its margin is a share of the baseline's: 0.01 for two classes of one size.
    """
    if metric == "neg_log_loss":
        return 0.015 * abs(baseline)
    if metric.startswith("roc_auc"):
        return 0.005
    return 0.01 if metric in ("r2", LIKELIHOOD) else 0.01 * abs(champion)


def _for_classes(answers: Answers, target: Any) -> ChosenMetrics:
    if np.ndim(target) != 1:
        deciding = "neg_log_loss" if answers.probabilities is not None else "accuracy"
        return ChosenMetrics(deciding, (), ("accuracy",))
    n_classes = len(answers.classes or ())
    _, counts = np.unique(target, return_counts=True)
    is_rare = len(counts) > 1 and counts.min() < 0.1 * counts.sum()
    has_probabilities = answers.probabilities is not None
    area = "roc_auc" if n_classes == 2 else "roc_auc_ovr"
    ranks = has_probabilities or (n_classes == 2 and "decision_function" in answers.outputs)
    table = [*_CLASS_TABLE, *((area,) if ranks else ())]
    if ranks and n_classes == 2:
        table.append("average_precision")
    if not has_probabilities:
        return ChosenMetrics(area if is_rare and ranks else "balanced_accuracy", (), tuple(table))
    table.append("neg_log_loss")
    if is_rare:
        return ChosenMetrics(area, ("neg_log_loss",), tuple(table))
    return ChosenMetrics("neg_log_loss", ("balanced_accuracy",), tuple(table))


def _for_numbers(estimator: Any) -> ChosenMetrics:
    """The mean absolute error where the estimator minimizes it."""
    is_quantile = type(last_step(estimator)).__name__ == "QuantileRegressor"
    if is_quantile or _last_parameter(estimator, ("loss", "criterion")) in ("absolute_error", "quantile", "huber"):
        return ChosenMetrics("neg_mean_absolute_error", (), _NUMBER_TABLE)
    return ChosenMetrics("r2", ("neg_mean_absolute_error",), _NUMBER_TABLE)


def _last_parameter(estimator: Any, names: tuple[str, ...]) -> Any:
    last = last_step(estimator)
    return next((getattr(last, name) for name in names if isinstance(getattr(last, name, None), str)), None)


def _of_search(estimator: Any) -> str:
    """The metric by which a search chose, if it is one of scikit-learn's by name."""
    scoring = getattr(estimator, "scoring", None)
    if isinstance(scoring, (list, tuple, set, dict)):
        refit = getattr(estimator, "refit", None)
        scoring = refit if isinstance(refit, str) else None
    return scoring if isinstance(scoring, str) and hasattr(estimator, "scorer_") else ""
