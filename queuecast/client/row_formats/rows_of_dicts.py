"""Refuses values in dicts that would arrive as texts, at a model that tells texts and numbers apart."""

from contextlib import suppress
from typing import Any

from queuecast.client.errors import ApiError
from queuecast.client.model_administration import ModelAdministration, schema_for
from queuecast.client.row_formats.whole_rows import moment_in_dicts
from queuecast.client.transport import Body


def refuse_moments(client: ModelAdministration, model: str, version: int | str | None, rows: Any) -> None:
    """Raises ValueError for a date, time, duration or decimal in a dict, if the model was fitted on dicts."""
    place = None if isinstance(rows, str) else moment_in_dicts(rows)
    if place is not None and "x-always" in _schema(client, model, version):
        raise ValueError(f"{place} cannot be sent to a model that was fitted on dicts, expected a text or a number")


def _schema(client: ModelAdministration, model: str, version: int | str | None) -> Body:
    with suppress(ApiError):  # no such version, for example: the answer to the submit explains it
        return schema_for(client, model, version)
    return {}
