"""Writes a version: every manifest has the same files next to it, pushed or retrained."""

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec

from queuecast.domain.model import Manifest
from queuecast.ports.aliases import AliasStore
from queuecast.ports.models import ModelRegistry
from worker.models.golden_rows import GOLDEN_FILE, Golden
from worker.models.loading import MODEL_FILE
from worker.models.model_output import class_labels
from worker.models.updating import can_update


def publish(
    models: ModelRegistry,
    aliases: AliasStore,
    manifest: Manifest,
    data: bytes,
    estimator: Any,
    golden: Golden,
    records: dict[str, bytes] | None = None,
) -> Manifest:
    """Writes model, signature schema and golden rows with the manifest; returns the manifest with its number.

    records: further files of the version, by name.
    Folders that were restored from an older copy may lack deleted versions, so the alias store names those too.
    """
    files = {
        MODEL_FILE: data,
        "schema.json": msgspec.json.format(msgspec.json.encode(manifest.signature.json_schema())),
        GOLDEN_FILE: msgspec.json.encode(golden),
        **(records or {}),
    }
    last_deleted = max(aliases.read(manifest.model).deleted, default=0)
    manifest = replace(
        manifest, classes=class_labels(estimator), params=_parameter_names(estimator), can_update=can_update(estimator)
    )
    return models.publish(manifest, files, above=last_deleted)


def _parameter_names(estimator: Any) -> tuple[str, ...]:
    """None for an ensemble of hundreds of estimators: every list of versions repeats a manifest."""
    with suppress(Exception):  # an estimator raises what it likes
        names = tuple(estimator.get_params())
        return names if sum(map(len, names)) <= 2**15 else ()
    return ()


def estimator_text(estimator: Any) -> str:
    """The estimator as scikit-learn prints it, on one line of at most 1,000 characters."""
    text = re.sub(r"\s+", " ", repr(estimator))
    return text if len(text) <= 1000 else text[:997] + "..."
