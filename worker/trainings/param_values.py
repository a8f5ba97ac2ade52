"""Turns parameters that came as JSON into what the estimator takes: tuples, and keys that are labels."""

import json
from typing import Any

from worker.models.model_output import class_labels


def as_estimator_takes(estimator: Any, params: dict[str, Any], fitted: Any) -> dict[str, Any]:
    """fitted: the estimator that knows the labels, which are the keys of `class_weight`."""
    present = estimator.get_params()
    labels = {_as_key(label): label for label in _labels(fitted)}
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


def _labels(fitted: Any) -> list[Any]:
    """The classes of all targets."""
    classes = class_labels(fitted) or []
    return [label for target in classes for label in (target if isinstance(target, list) else [target])]


def _as_key(label: Any) -> str:
    return label if isinstance(label, str) else json.dumps(label)
