"""Rows that a version was fitted on: the few that its golden rows keep."""

from contextlib import suppress
from typing import Any

import msgspec

from queuecast.domain.errors import UnknownVersionError
from queuecast.domain.model import Manifest
from queuecast.ports.models import ModelRegistry


def fitted_rows(models: ModelRegistry, manifest: Manifest) -> list[Any]:
    """Some of the rows that the version was fitted on, as JSON rows. Empty if none were kept."""
    try:
        golden = models.file(manifest.model, manifest.version, "golden.json")
    except UnknownVersionError:
        return []
    rows: list[Any] = msgspec.json.decode(golden)["rows"]
    return rows


def first_fitted_rows(models: ModelRegistry, manifest: Manifest) -> list[Any]:
    """Some of the rows that the pushed version was fitted on from which this one comes. They have the digits of the
    notebook, and were split by the same rule. Of the earliest version that is left, if that one is deleted."""
    with suppress(UnknownVersionError):
        while manifest.lineage is not None:
            manifest = models.manifest(manifest.model, manifest.lineage.parent_version)
    return fitted_rows(models, manifest)
