"""Writes a version: every manifest has the same files next to it, pushed or retrained."""

import re
from dataclasses import replace
from typing import Any

import msgspec

from queuecast.domain.model import Manifest
from queuecast.ports.aliases import AliasStore
from queuecast.ports.models import ModelRegistry
from worker.models.loading import MODEL_FILE
from worker.models.model_output import class_labels
from worker.models.signatures import Golden


def publish(
    models: ModelRegistry, aliases: AliasStore, manifest: Manifest, data: bytes, estimator: Any, golden: Golden
) -> Manifest:
    """Writes model, signature schema and golden rows with the manifest; returns the manifest with its number.

    Folders that were restored from an older copy may lack deleted versions, so the alias store names those too.
    """
    files = {
        MODEL_FILE: data,
        "schema.json": msgspec.json.format(msgspec.json.encode(manifest.signature.json_schema())),
        "golden.json": msgspec.json.encode(golden),
    }
    last_deleted = max(aliases.read(manifest.model).deleted, default=0)
    return models.publish(replace(manifest, classes=class_labels(estimator)), files, above=last_deleted)


def estimator_text(estimator: Any) -> str:
    """The estimator as scikit-learn prints it, on one line of at most 1,000 characters."""
    text = re.sub(r"\s+", " ", repr(estimator))
    return text if len(text) <= 1000 else text[:997] + "..."
