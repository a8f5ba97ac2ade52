"""Which estimators go on learning with `partial_fit`: the estimator itself, or the last step of a pipeline."""

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline


def can_update(estimator: Any) -> bool:
    """A `FrozenEstimator` hands `partial_fit` on to the estimator in it, and would no longer be frozen."""
    last = last_step(estimator)
    return not isinstance(last, FrozenEstimator) and hasattr(last, "partial_fit")


def last_step(estimator: Any) -> Any:
    """That of a pipeline, also of one in a pipeline; another estimator itself."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator
