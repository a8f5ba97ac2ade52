"""Golden rows: rows that are kept with a version, and the check that a worker still answers them as it should."""

from dataclasses import dataclass
from typing import Any

import msgspec

from queuecast.domain.errors import (
    Finding,
    GoneVersionError,
    ModelRefusedError,
    UnknownVersionError,
    exception_text,
    shortened,
)
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method
from queuecast.ports.models import ModelRegistry
from worker.models.inference import infer_rows
from worker.models.learning.same_answers import first_difference
from worker.models.learning.shared_steps import encoders_shared

GOLDEN_FILE = "golden.json"


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows and their outputs in the notebook, or when the version was made.

    outputs: method -> one output for each row.
    """

    rows: list[Any]
    outputs: dict[str, list[Any]]

    def some(self, count: int) -> "Golden":
        """At most `count` of the rows, with equal steps between them."""
        step = max(1, -(-len(self.rows) // count))
        return Golden(self.rows[::step], {method: outputs[::step] for method, outputs in self.outputs.items()})


def read_golden(models: ModelRegistry, manifest: Manifest) -> Golden | None:
    """None for a version without the file. Raises GoneVersionError, and ModelRefusedError for a damaged file."""
    try:
        data = models.file(manifest.model, manifest.version, GOLDEN_FILE)
    except GoneVersionError:
        raise
    except UnknownVersionError:
        return None
    try:
        return msgspec.json.decode(data, type=Golden)
    except msgspec.DecodeError as error:
        raise _refusal(manifest, f"{GOLDEN_FILE} cannot be read: {error}") from error


def require_golden_answers(estimator: Any, manifest: Manifest, golden: Golden) -> None:
    """Raises ModelRefusedError, code `golden_mismatch`, unless the estimator answers 20 of the rows as it was noted.

    Labels must be identical, numbers equal to five digits. The import has compared them to nine; a worker on another
    machine rounds differently, and must not be taken for broken.
    """
    some = golden.some(20)
    with encoders_shared(estimator, len(manifest.signature.columns)):
        for name, expected in some.outputs.items():
            found = _answers(estimator, manifest, Method(name), some.rows)
            at = first_difference(found, expected, 1e-5) if some.rows else None
            if at is not None:
                raise _mismatch(manifest, name, found, expected, at)


def _answers(estimator: Any, manifest: Manifest, method: Method, rows: list[Any]) -> list[Any] | str:
    """The outputs, or the error of the estimator in words."""
    try:
        return infer_rows(estimator, manifest.signature, method, rows)
    except Exception as error:  # an estimator raises what it likes
        return exception_text(error)


def _mismatch(
    manifest: Manifest, method: str, found: list[Any] | str, expected: list[Any], at: int
) -> ModelRefusedError:
    answer, wanted = (shortened(str(each), 200) for each in (_answer_at(found, expected, at), expected[at]))
    return _refusal(manifest, f"{method} answers a golden row with {answer}, expected {wanted}", answer, wanted)


def _answer_at(found: list[Any] | str, expected: list[Any], at: int) -> Any:
    if isinstance(found, str):
        return found
    return found[at] if len(found) == len(expected) else f"{len(found)} answers for {len(expected)} rows"


def _refusal(
    manifest: Manifest, detail: str, found: str | None = None, expected: str | None = None
) -> ModelRefusedError:
    detail = f"model {manifest.model} version {manifest.version}: {detail}; this worker does not serve it"
    return ModelRefusedError(detail, (Finding("", "golden_mismatch", detail, found, expected),), code="golden_mismatch")
