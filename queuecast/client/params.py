"""Turns the parameters of a training into JSON, or refuses them with the spelling that works."""

import math
from collections.abc import Mapping
from typing import Any


def training_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON. Tuples become lists and keys texts; the worker turns them back.

    Raises ValueError for a value that JSON cannot hold.
    """
    for name in params:
        if not isinstance(name, str):
            raise ValueError(f"the parameter {name!r} is no name, expected one such as 'model__C'")  # noqa: TRY004
    return {name: _sendable(value, name) for name, value in params.items()}


def _sendable(value: Any, name: str) -> Any:
    if isinstance(value, type):
        raise ValueError(f"the parameter {name} is a class; write its name: {value.__name__!r}")  # noqa: TRY004
    if isinstance(value, Mapping):
        return {_key(key): _sendable(item, name) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_sendable(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the parameter {name} is {value}, which JSON cannot hold; push an estimator that has it")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"the parameter {name} is a {type(value).__name__}, expected a number, a text, a boolean, None, a list or a "
        "dict; push an estimator that has it, and set its own parameters by name, such as 'model__C'"
    )


def _key(key: Any) -> str:
    plain = key.item() if hasattr(key, "item") else key
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
