"""Hands the weights and the groups of the rows to `fit`, by the names of its parameters."""

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from queuecast.domain.errors import Finding, InvalidInputError

_WEIGHT = "sample_weight"


def fit_arguments(estimator: Any, weights: Any, groups: Any) -> dict[str, Any]:
    """weights, groups: (n_rows,), or None. A pipeline hands them to its last step, and a search to its estimator.

    Groups go to the splitter of a search; another estimator does not need them. Raises InvalidInputError if the
    estimator takes no weights.
    """
    arguments = {}
    if weights is not None:
        name = _weight_parameter(estimator)
        if name is None:
            detail = f"{_named(estimator)} takes no sample weights"
            raise InvalidInputError(detail, (Finding("/weight_column", "no_weights", detail),))
        arguments[name] = weights
    search = _search_prefix(estimator) if groups is not None else None
    if search is not None:
        arguments[f"{search}groups"] = groups
    return arguments


def _weight_parameter(estimator: Any) -> str | None:
    """Such as `model__sample_weight`, for a pipeline; None if the estimator takes no weights."""
    if isinstance(estimator, Pipeline):
        name, step = estimator.steps[-1]
        inner = None if _is_no_step(step) else _weight_parameter(step)
        return None if inner is None else f"{name}__{inner}"
    if _is_search(estimator):
        return _weight_parameter(estimator.estimator)
    if isinstance(estimator, TransformedTargetRegressor):
        return _WEIGHT if estimator.regressor is None else _weight_parameter(estimator.regressor)
    if isinstance(estimator, VotingClassifier | VotingRegressor | StackingClassifier | StackingRegressor):
        inner_names = {_weight_parameter(each) for _, each in estimator.estimators if not _is_no_step(each)}
        return _WEIGHT if inner_names == {_WEIGHT} else None
    return _WEIGHT if has_fit_parameter(estimator, _WEIGHT) else None


def _search_prefix(estimator: Any) -> str | None:
    """The way to a search: empty if the estimator is one, `step__` if it is a pipeline's last step, None without."""
    if isinstance(estimator, Pipeline):
        name, step = estimator.steps[-1]
        inner = _search_prefix(step)
        return None if inner is None else f"{name}__{inner}"
    return "" if _is_search(estimator) else None


def _is_search(estimator: Any) -> bool:
    """scikit-learn has no public class of which all its searches are."""
    return hasattr(estimator, "get_params") and {"estimator", "cv", "refit"} <= estimator.get_params(deep=False).keys()


def _is_no_step(step: Any) -> bool:
    return step is None or isinstance(step, str)


def _named(estimator: Any) -> str:
    while isinstance(estimator, Pipeline) or _is_search(estimator):
        estimator = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator.estimator
    return type(estimator).__name__
