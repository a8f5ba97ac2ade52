"""Turns the parameters of a training into JSON, or refuses them with the spelling that works."""

import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from queuecast.client.errors import ApiError
from queuecast.client.transport import Transport, read_json
from queuecast.domain.model import CHAMPION
from queuecast.domain.training_params import unknown_params
from queuecast.domain.trainings.searching import unsound_distributions


def training_params(transport: Transport, model_path: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON. Tuples become lists and keys texts; the worker turns them back.

    Raises ValueError for a value that JSON cannot hold, and for a parameter that the model's champion lacks: that costs
    two small requests, and no upload.
    """
    for name in params:
        if not isinstance(name, str):
            raise ValueError(f"the parameter {name!r} is no name, expected one such as 'model__C'")  # noqa: TRY004
    sendable = {name: _sendable(value, name) for name, value in params.items()}
    if sendable:
        for finding in unknown_params(sendable, _known_names(transport, model_path)):
            raise ValueError(f"{finding.detail}; the model's champion has no such parameter")
    return sendable


def training_search(transport: Transport, model_path: str, search: Mapping[str, Any]) -> dict[str, Any]:
    """A search as JSON. Raises ValueError for values that are no candidates, and for names that the champion lacks."""
    distributions = search.get("param_distributions")
    if not isinstance(distributions, Mapping):
        raise ValueError("a search needs param_distributions, a dict of lists or ranges")  # noqa: TRY004
    sendable = {str(name): _sendable(values, name) for name, values in distributions.items()}
    known = _known_names(transport, model_path)
    pointer = "param_distributions"
    for finding in (*unknown_params(sendable, known, pointer), *unsound_distributions(sendable, known, pointer)):
        raise ValueError(f"{finding.pointer}: {finding.detail}")
    return {**search, "param_distributions": sendable}


def _known_names(transport: Transport, model_path: str) -> list[str]:
    with suppress(ApiError):  # no such model, for example: the answer to the training explains it
        return list(_champion_manifest(transport, model_path).get("params", ()))
    return []


def champion_target(transport: Transport, model_path: str) -> list[str]:
    """The names of the columns that the champion learned; empty if they are unknown."""
    with suppress(ApiError):  # as above
        return list(_champion_manifest(transport, model_path).get("target", ()))
    return []


def _champion_manifest(transport: Transport, model_path: str) -> dict[str, Any]:
    """Raises ApiError if there is no such model, or no champion."""
    champion = read_json(transport.send("GET", model_path))["aliases"].get(CHAMPION)
    manifest: dict[str, Any] = read_json(transport.send("GET", f"{model_path}/versions/{champion}"))
    return manifest


def _sendable(value: Any, name: str) -> Any:
    if isinstance(value, type):
        raise ValueError(f"the parameter {name} is a class; write its name: {value.__name__!r}")  # noqa: TRY004
    if isinstance(value, Mapping):
        return {_key(key): _sendable(item, name) for key, item in value.items()}
    if hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return [_sendable(item, name) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        word = "NaN" if math.isnan(value) else str(value)
        raise ValueError(f"the parameter {name} is {value}, which JSON cannot hold; write the word {word!r}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"the parameter {name} is a {type(value).__name__}, expected a number, a text, a boolean, None, a list or a "
        "dict; push an estimator that has it, and set its own parameters by name, such as 'model__C'"
    )


def _key(key: Any) -> str:
    plain = key.item() if hasattr(key, "item") else key
    return str(plain).lower() if isinstance(plain, bool) else str(plain)
