"""The values that the encoders of an estimator know, for each column of its rows."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline


def known_values(estimator: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """The `categories_` of the encoders that read a column; an empty list for a column that no encoder reads.

    names: of the columns, in the order of the fit. A column that was renamed on its way to the encoder is not found.
    """
    known: dict[str, list[Any]] = {name: [] for name in names}
    _collect(estimator, list(names), known)
    return known


def _collect(part: Any, names: list[str], known: dict[str, list[Any]]) -> None:
    categories = getattr(part, "categories_", None)
    if isinstance(categories, list):
        for name, values in zip(names, categories, strict=False):
            known.get(name, []).extend(np.asarray(values).tolist())
    elif isinstance(part, Pipeline):
        for _, step in part.steps:
            _collect(step, names, known)
            names = names_after(step, names)
    elif isinstance(part, ColumnTransformer):
        positions = getattr(part, "_transformer_to_input_indices", {})
        for name, inner, _ in getattr(part, "transformers_", ()):
            _collect(inner, [names[at] for at in positions.get(name, ())], known)
    elif isinstance(part, FeatureUnion):
        for _, inner in part.transformer_list:
            _collect(inner, names, known)
    elif isinstance(part, BaseEstimator):
        for inner in parts_on_same_columns(part, len(names)):
            _collect(inner, names, known)


def parts_on_same_columns(part: BaseEstimator, n_columns: int) -> Iterator[Any]:
    """The best estimator of a search, the members of an ensemble, and the like."""
    for value in vars(part).values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseEstimator) and getattr(inner, "n_features_in_", None) == n_columns:
                yield inner


def names_after(step: Any, names: list[str]) -> list[str]:
    """The names of a step's output; none if the step does not say."""
    if step is None or isinstance(step, str):  # "passthrough"
        return names
    with suppress(Exception):  # an estimator raises what it likes
        return [str(name) for name in step.get_feature_names_out(np.asarray(names, dtype=object))]
    return []
