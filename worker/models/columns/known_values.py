"""The values that the encoders of an estimator know, for each column of its rows."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline


def known_values(estimator: Any, names: Sequence[str]) -> dict[str, list[Any]]:
    """The `categories_` of the encoders that read a column; an empty list for a column that no encoder reads.

    names: of the columns, in the order of the fit. A column is found under the name that a step gave it, too.
    """
    known: dict[str, list[Any]] = {name: [] for name in names}
    _collect(estimator, list(names), known)
    return known


def _collect(part: Any, names: list[str], known: dict[str, list[Any]]) -> None:
    categories = getattr(part, "categories_", None)
    if isinstance(categories, list):
        for name, values in zip(names, categories, strict=False):
            array = np.asarray(values)
            # numpy turns a date of nanoseconds into an integer if it makes a list of it.
            known.get(name, []).extend(array if array.dtype.kind in "mM" else array.tolist())
    elif isinstance(part, Pipeline):
        for _, step in part.steps:
            _collect(step, names, known)
            names = names_after(step, names)
    elif isinstance(part, ColumnTransformer):
        positions = getattr(part, "_transformer_to_input_indices", {})
        for name, inner, _ in getattr(part, "transformers_", ()):
            _collect(inner, _chosen(names, positions.get(name, ())), known)
    elif isinstance(part, FeatureUnion):
        for _, inner in part.transformer_list:
            _collect(inner, names, known)
    elif isinstance(part, BaseEstimator):
        for inner in parts_on_same_columns(part, len(names)):
            _collect(inner, names, known)


def parts_on_same_columns(part: BaseEstimator, n_columns: int) -> Iterator[Any]:
    """The best estimator of a search, the members of an ensemble, and the like.

    An estimator may have them in a dict, or in an object that is none, as a CalibratedClassifierCV has.
    """
    waiting = deque(vars(part).values())
    seen: set[int] = set()
    while waiting:
        value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, BaseEstimator):
            if getattr(value, "n_features_in_", None) == n_columns:
                yield value
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif type(value).__module__.startswith("sklearn."):
            waiting.extend(getattr(value, "__dict__", {}).values())


def names_after(step: Any, names: list[str]) -> list[str]:
    """The columns of a step's output, each by the name of the column that it was; "" for a column that is new.

    No names if the step does not say, and after an encoder: its output are not the values that came in.
    """
    if step is None or isinstance(step, str):  # "passthrough"
        return names
    if isinstance(getattr(step, "categories_", None), list):
        return []
    if isinstance(step, Pipeline):
        for _, inner in step.steps:
            names = names_after(inner, names)
        return names
    if isinstance(step, ColumnTransformer):
        return _names_after_columns(step, names)
    if isinstance(step, FeatureUnion):
        parts = [inner for _, inner in step.transformer_list if inner != "drop"]
        return [name for inner in parts for name in names_after(inner, names)]
    return _names_that_stay(step, names)


def _names_after_columns(step: ColumnTransformer, names: list[str]) -> list[str]:
    """Without the prefixes that a ColumnTransformer puts before the names."""
    places = getattr(step, "output_indices_", {})  # a fit on columns that are all dropped makes none
    after = [""] * max((place.stop for place in places.values()), default=0)
    for name, inner, _ in step.transformers_:
        if inner != "drop" and name in places:
            inside = names_after(inner, _chosen(names, step._transformer_to_input_indices[name]))
            if len(inside) == places[name].stop - places[name].start:
                after[places[name]] = inside
    return after


def _names_that_stay(step: Any, names: list[str]) -> list[str]:
    """The columns that the step hands on. Their names may be others inside it."""
    inside = [str(name) for name in getattr(step, "feature_names_in_", [f"\0{at}" for at in range(len(names))])]
    outside = dict(zip(inside, names, strict=False))
    with suppress(Exception):  # an estimator raises what it likes
        return [outside.get(str(name), "") for name in step.get_feature_names_out(np.asarray(inside, dtype=object))]
    return []


def _chosen(names: list[str], positions: Sequence[int]) -> list[str]:
    return [names[at] if at < len(names) else "" for at in positions]
