"""Supplies the values that no generator can invent: a model file, its rows, and a fresh Idempotency-Key."""

import os
import uuid
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies

from tests.openapi.narrowed import SKOPS

FOLDER = Path(os.environ["OPENAPI_TEST_FOLDER"])
schemathesis.openapi.media_type(SKOPS, strategies.just((FOLDER / "model.skops").read_bytes()))
schemathesis.openapi.media_type("text/csv", strategies.just((FOLDER / "example.csv").read_bytes()))


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Replaces the key: short ones are generated again and again, and a key is refused with another request."""
    is_meant_to_fit = case.meta is not None and case.meta.generation.mode.is_positive
    if is_meant_to_fit and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
