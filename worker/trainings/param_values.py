"""Turns parameters that came as JSON into what the estimator takes: tuples, keys that are labels, NaN and infinity.

The words "NaN", "inf" and "-inf" are numbers where the estimator takes a number and no text. scikit-learn's own
constraints say what it takes.
"""

import json
from contextlib import suppress
from typing import Any

from sklearn.utils._param_validation import make_constraint

from queuecast.domain.training_params import grid_prefix
from worker.models.model_output import class_labels

_NUMBER_WORDS = {"nan", "inf", "infinity"}


def as_estimator_takes(estimator: Any, params: dict[str, Any], fitted: Any) -> dict[str, Any]:
    """fitted: the estimator that knows the labels, which are the keys of `class_weight`.

    Raises ValueError for a word that the parameter could take as a text and as a number.
    """
    present = {"": estimator} | estimator.get_params()
    labels = _labels(fitted)
    return {name: _converted(name, value, present, labels) for name, value in params.items()}


def _converted(name: str, value: Any, present: dict[str, Any], labels: list[Any]) -> Any:
    owner_name, _, own_name = name.rpartition("__")
    prefix = grid_prefix(name)
    if prefix is not None:
        return _converted_grid(prefix, value, present, labels)
    if own_name == "class_weight":
        return _with_labels(value, labels)
    constraints = getattr(present.get(owner_name), "_parameter_constraints", {}).get(own_name, ())
    if isinstance(value, list):
        takes_tuple = isinstance(present.get(name), tuple) or (tuple in constraints and list not in constraints)
        return tuple(value) if takes_tuple else value
    if isinstance(value, str) and value.lstrip("+-").lower() in _NUMBER_WORDS:
        return _number_in(name, value, constraints)
    return value


def _converted_grid(prefix: str, grid: Any, present: dict[str, Any], labels: list[Any]) -> Any:
    """prefix: of the names in the grid, see `grid_prefix`."""
    if isinstance(grid, list):
        return [_converted_grid(prefix, each, present, labels) for each in grid]
    if not isinstance(grid, dict):
        return grid
    return {
        name: [_converted(prefix + name, each, present, labels) for each in values]
        if isinstance(values, list)
        else values
        for name, values in grid.items()
    }


def _number_in(name: str, word: str, constraints: Any) -> str | float:
    takes_text, takes_number = _takes(constraints, word), _takes(constraints, float(word))
    if takes_text and takes_number:
        raise ValueError(
            f"{name} takes texts and numbers, and {word!r} could be either; push an estimator that has the one you mean"
        )
    return float(word) if takes_number else word


def _takes(constraints: Any, value: Any) -> bool:
    for constraint in constraints if isinstance(constraints, list) else ():
        with suppress(Exception):  # a constraint that scikit-learn does not know
            if make_constraint(constraint).is_satisfied_by(value):
                return True
    return False


def _with_labels(weights: Any, labels: list[Any]) -> Any:
    """With labels instead of texts as the keys. weights: of one target, or a list with those of each."""
    if isinstance(weights, list):
        return [_with_labels(each, labels) for each in weights]
    if not isinstance(weights, dict):
        return weights
    return {_label(key, labels): weight for key, weight in weights.items()}


def _label(key: str, labels: list[Any]) -> Any:
    """The label that the key means: one of the champion's, or a new one of the same kind."""
    for label in labels:
        if key == (label if isinstance(label, str) else json.dumps(label)):
            return label
    if labels and not any(isinstance(label, str) for label in labels):
        with suppress(ValueError):
            return json.loads(key)
    return key


def _labels(fitted: Any) -> list[Any]:
    """The classes of all targets."""
    classes = class_labels(fitted) or []
    return [label for target in classes for label in (target if isinstance(target, list) else [target])]
