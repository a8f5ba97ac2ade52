"""The answers of one version to labelled rows, asked for once, in the form that scikit-learn's scorers take."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from worker.models.model_output import class_labels

METHODS = ("predict", "predict_proba", "decision_function")


@dataclass(frozen=True, slots=True)
class Answers:
    """outputs: by method; arrays (n_rows,) or (n_rows, k), or a list of arrays for several targets.

    classes: the labels in the order of the columns, a list of lists for several targets; None without classes.
    batch_s: seconds of all methods for all rows together. one_row_s: of `predict` for one row alone.
    """

    outputs: dict[str, Any]
    classes: Any
    is_classifier: bool
    is_regressor: bool
    batch_s: float = 0.0
    one_row_s: float = 0.0

    @property
    def predictions(self) -> Any:
        return self.outputs.get("predict")

    @property
    def probabilities(self) -> Any:
        return self.outputs.get("predict_proba")


def taken_answers(answers: Answers, positions: Any) -> Answers:
    """The answers to some of the rows."""
    outputs = {
        method: [each[positions] for each in output] if isinstance(output, list) else output[positions]
        for method, output in answers.outputs.items()
    }
    return replace(answers, outputs=outputs)


def answers_of(estimator: Any, features: Any, one_row: Any, methods: Sequence[str] = METHODS) -> Answers:
    """features: the rows as the estimator takes them. one_row: the first of them alone; None if there is none.

    A method that raises counts as missing: an estimator raises what it likes for a row that is new to it.
    """
    outputs = {}
    started = perf_counter()
    with suppress(Exception):
        last, transformed = _transformed(estimator, features)
        for method in methods:
            with suppress(Exception):  # also for a method that the estimator's parameters forbid
                outputs[method] = _as_arrays(getattr(last, method)(transformed))
    batch_s = perf_counter() - started
    one_row_s = _seconds_of_one_row(estimator, one_row) if "predict" in outputs and one_row is not None else 0.0
    return Answers(
        outputs, class_labels(estimator), is_classifier(estimator), is_regressor(estimator), batch_s, one_row_s
    )


def _transformed(estimator: Any, features: Any) -> tuple[Any, Any]:
    """The last step of a pipeline and the rows as it takes them, so that its methods share the steps before it."""
    if type(estimator) is not Pipeline or len(estimator.steps) < 2 or isinstance(estimator.steps[-1][1], str):
        return estimator, features
    return estimator.steps[-1][1], estimator[:-1].transform(features)


def _as_arrays(output: Any) -> Any:
    if isinstance(output, list) and output and np.ndim(output[0]) > 1:
        return [np.asarray(each) for each in output]
    return output.toarray() if hasattr(output, "toarray") else np.asarray(output)


def _seconds_of_one_row(estimator: Any, one_row: Any) -> float:
    seconds = []
    with suppress(Exception):
        for _ in range(5):
            started = perf_counter()
            estimator.predict(one_row)
            seconds.append(perf_counter() - started)
    return float(np.median(seconds)) if seconds else 0.0


def _has(method: str) -> Any:
    return available_if(lambda each: method in each.answers.outputs)


class _Replayed(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted estimator whose rows are positions: it gives the version's answers to them."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        if answers.classes is not None:
            self.classes_ = np.asarray(answers.classes) if not _is_nested(answers.classes) else answers.classes

    @_has("predict")  # type: ignore[untyped-decorator]
    def predict(self, positions: Any) -> Any:
        return self.answers.outputs["predict"][positions]

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, positions: Any) -> Any:
        output = self.answers.outputs["predict_proba"]
        return [each[positions] for each in output] if isinstance(output, list) else output[positions]

    @_has("decision_function")  # type: ignore[untyped-decorator]
    def decision_function(self, positions: Any) -> Any:
        return self.answers.outputs["decision_function"][positions]


class _ReplayedClassifier(ClassifierMixin, _Replayed):  # type: ignore[misc]
    pass


class _ReplayedRegressor(RegressorMixin, _Replayed):  # type: ignore[misc]
    pass


def replayed(answers: Answers) -> Any:
    """An estimator for scikit-learn's scorers. Its rows are an array of positions, shape (n_rows,)."""
    kind = _ReplayedClassifier if answers.is_classifier else _ReplayedRegressor if answers.is_regressor else _Replayed
    return kind(answers)


def _is_nested(classes: Any) -> bool:
    return bool(classes) and isinstance(classes[0], list)
