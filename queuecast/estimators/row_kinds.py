"""Whether the rows of an estimator are texts, by its first step. A CSV file of example rows does not show it."""

from typing import Any

from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

_OF_TEXTS = (CountVectorizer, HashingVectorizer)  # TfidfVectorizer is a CountVectorizer
_INNER = ("best_estimator_", "estimator_", "estimator")


def takes_texts(estimator: Any) -> bool:
    return isinstance(_first_step(estimator), _OF_TEXTS)


def _first_step(part: Any) -> Any:
    """The transformer that gets the rows: of a pipeline, a search, or another estimator around one."""
    if isinstance(part, Pipeline):
        steps = (step for _, step in part.steps if step is not None and not isinstance(step, str))
        return _first_step(next(steps, None))
    if isinstance(part, FeatureUnion):
        parts = (each for _, each in part.transformer_list if not isinstance(each, str))
        return _first_step(next(parts, None))
    for name in _INNER:
        inner = getattr(part, name, None)
        if hasattr(inner, "get_params"):
            return _first_step(inner)
    return part
