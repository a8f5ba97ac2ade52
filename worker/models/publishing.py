"""Writes a version: every manifest has the same files next to it, pushed or retrained."""

import hashlib
import re
from dataclasses import replace
from typing import Any

import msgspec

from queuecast.domain.model import Manifest
from queuecast.ports.models import ModelRegistry
from worker.models.inference import plain_classes
from worker.models.loading import MODEL_FILE
from worker.models.signatures import Golden


def publish(models: ModelRegistry, manifest: Manifest, data: bytes, estimator: Any, golden: Golden) -> Manifest:
    """Writes model, signature schema and golden rows with the manifest; returns the manifest with its number."""
    files = {
        MODEL_FILE: data,
        "schema.json": msgspec.json.format(msgspec.json.encode(manifest.signature.json_schema())),
        "golden.json": msgspec.json.encode(golden),
    }
    return models.publish(replace(manifest, classes=plain_classes(estimator)), files)


def estimator_text(estimator: Any) -> str:
    """The estimator as scikit-learn prints it, on one line and not without end."""
    text = re.sub(r"\s+", " ", repr(estimator))
    return text if len(text) <= 1000 else text[:997] + "..."


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
