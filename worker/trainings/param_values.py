"""Turns parameters that came as JSON into what the estimator takes: tuples, and keys that are labels."""

import json
from typing import Any

import numpy as np


def as_estimator_takes(estimator: Any, params: dict[str, Any], fitted: Any) -> dict[str, Any]:
    """fitted: the estimator that knows the labels, which are the keys of `class_weight`."""
    present = estimator.get_params()
    labels = {_as_key(label): label for label in _labels(getattr(fitted, "classes_", ()))}
    return {name: _converted(name, value, present, labels) for name, value in params.items()}


def _converted(name: str, value: Any, present: dict[str, Any], labels: dict[str, Any]) -> Any:
    owner_name, _, own_name = name.rpartition("__")
    if own_name == "class_weight" and isinstance(value, dict):
        return {labels.get(key, key): weight for key, weight in value.items()}
    if not isinstance(value, list):
        return value
    owner = present.get(owner_name)
    allowed = getattr(owner, "_parameter_constraints", {}).get(own_name, ())
    takes_tuple = isinstance(present.get(name), tuple) or (tuple in allowed and list not in allowed)
    return tuple(value) if takes_tuple else value


def _labels(classes: Any) -> list[Any]:
    """classes: `classes_`, an array, or a list with an array for each target; these may differ in length."""
    per_target = classes if isinstance(classes, list) else [classes]
    return [label for labels in per_target for label in np.asarray(labels).tolist()]


def _as_key(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label)
