"""The settings of the gate that a request changes."""

from dataclasses import replace

from msgspec import UNSET, UnsetType

from api.schemas.gate import GateRequest
from queuecast.domain.gate import GateSettings, require_known_metrics


def merged_gate(given: GateRequest | UnsetType, known: GateSettings, pointer: str = "/gate") -> GateSettings:
    """The known settings with those of the request. Raises InvalidInputError for an unknown metric."""
    if given is UNSET:
        return known
    fields = {name: value for name in given.__struct_fields__ if (value := getattr(given, name)) is not UNSET}
    fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    settings = replace(known, **fields)
    require_known_metrics(settings, pointer)
    return settings
