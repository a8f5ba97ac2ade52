"""What the generated requests cannot make up: a model file, its rows, and a key that was never used."""

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
    """The same key with another request is refused, and small keys are generated over and over."""
    is_meant_to_fit = case.meta is not None and case.meta.generation.mode.is_positive
    if is_meant_to_fit and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
