"""Whether the rows of an estimator are texts or dicts, by its first step. A CSV file of its rows does not show it."""

from typing import Any

from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

_OF_TEXTS = (CountVectorizer, HashingVectorizer)  # TfidfVectorizer is a CountVectorizer
_INNER = ("best_estimator_", "estimator_", "estimator")

DICTS_OF_CSV = (
    "the model was fitted on dicts, and the cells of a CSV file do not show whether values were words or numbers; "
    "push from Python: client.push(name, estimator, dicts)"
)


def takes_dicts(estimator: Any) -> bool:
    return isinstance(_first_step(estimator), DictVectorizer | FeatureHasher)


def refusal_of_rows(estimator: Any) -> str:
    """Why rows of the estimator's kind are not served; empty if they are."""
    first = _first_step(estimator)
    if not isinstance(first, FeatureHasher) or first.input_type == "dict":
        return ""
    kind = "lists of words" if first.input_type == "string" else "lists of pairs"
    return (
        f"the first step is a FeatureHasher with input_type={first.input_type!r}, whose rows are {kind}; they are not "
        "served. Use input_type='dict' and rows such as {'word': 1}, which have the same output"
    )


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
