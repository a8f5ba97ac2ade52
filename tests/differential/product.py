"""A model on its way through the product's own code, in this process: the client's encoders, the gateway's check of
rows, and a whole worker on folders and in-memory stores.

`tests.system` runs the same cases through real servers.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from api.http.row_decoding import require_rows
from queuecast.client.pushing import estimator_parts
from queuecast.client.row_formats.target_columns import target_names
from queuecast.client.transport import encode_json
from queuecast.domain.errors import Finding, QueuecastError
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.work import ImportWork, Method, PredictionWork, TrainingWork
from tests.worker.batch_fixtures import LocalBatchService
from tests.worker.model_fixtures import MODEL

CHUNK_ROWS = 20
MAX_ROWS = 10_000
CRASHES = ("run_failed", "worker_lost", "timed_out")  # codes of a job that ended by a fault of the product
_ROW = re.compile(r"/inputs/(\d+)")


class Refused(Exception):  # noqa: N818 - names a fact
    """The product refused, with a reason. rows: the refused ones, counted from 0; empty if all were refused."""

    def __init__(self, code: str, detail: str, column: str | None = None, rows: tuple[int, ...] = ()) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.column = column
        self.rows = rows


class Crashed(Exception):  # noqa: N818 - names a fact
    """The product failed after it had accepted, or without a reason."""


@dataclass(frozen=True)
class BadRow:
    row: int
    column: str | None
    code: str
    detail: str


@dataclass(frozen=True)
class BatchAnswer:
    """content: of the result file. bad_rows: counted from 0."""

    content: bytes
    bad_rows: list[BadRow]


class Version(Protocol):
    """A version that the product serves."""

    methods: tuple[str, ...]
    schema: dict[str, Any]
    """JSON Schema of one row."""

    def answers(self, rows: list[Any], method: str) -> list[Any]:
        """rows: as the client sends them. Raises Refused or Crashed."""

    def batch(self, content: bytes, media_type: str, method: str, output_format: str) -> BatchAnswer: ...

    def retrained(self, content: bytes, media_type: str, target: tuple[str, ...]) -> "Version":
        """The version that a training on the file made."""


class LocalVersion:
    def __init__(self, service: LocalBatchService, number: int) -> None:
        manifest = service.manifest(number)
        self._service = service
        self._number = number
        self._signature = manifest.signature
        self.methods = tuple(manifest.signature.methods)
        self.schema = manifest.signature.json_schema()

    @classmethod
    def pushed(cls, folder: Path, estimator: Any, rows: Any, target: Any) -> "LocalVersion":
        service = LocalBatchService(folder, CHUNK_ROWS)
        with _refusing_client():
            parts = estimator_parts(estimator, rows)
            names = tuple(target_names(target) or ())
        stored = [service.stored(content, kind, name).id for name, content, kind in parts.values()]
        job = service.ran(JobType.IMPORT, ModelRef(MODEL), ImportWork(stored[0], stored[1], names))
        return cls(service, int(_result(service, job)["version"]))

    def answers(self, rows: list[Any], method: str) -> list[Any]:
        try:
            checked: Any = require_rows(self._signature, encode_json(rows), MAX_ROWS)
        except QueuecastError as error:
            raise _refused(error.code, error.detail, error.findings) from None
        work = PredictionWork(Method(method), len(rows))
        content = checked.rows if hasattr(checked, "rows") else checked[1]
        job = self._service.ran(JobType.PREDICTION, ModelRef(MODEL, self._number), work, content)
        if job.failure is not None:
            raise Crashed(f"accepted, then {job.failure.code}: {job.failure.detail}")
        result = _result(self._service, job)
        answers: list[Any] = result["probabilities" if method == Method.PREDICT_PROBA else "predictions"]
        return answers

    def batch(self, content: bytes, media_type: str, method: str, output_format: str) -> BatchAnswer:
        options = {"method": Method(method), "output_format": OutputFormat(output_format)}
        work = self._service.batch_work(content, media_type, **options)
        job = self._service.submitted(JobType.BATCH, ModelRef(MODEL, self._number), work)
        self._service.run_until_idle()
        job = self._service.jobs.read(job.id)
        _result(self._service, job)
        bad = [json.loads(line) for line in self._service.error_file(job).splitlines()]
        bad_rows = [BadRow(each["row"] - 1, each["column"], each["code"], each["detail"]) for each in bad]
        return BatchAnswer(self._service.answer_file(job), bad_rows)

    def retrained(self, content: bytes, media_type: str, target: tuple[str, ...]) -> "LocalVersion":
        stored = self._service.stored(content, media_type)
        work = TrainingWork(stored.id, stored.sha256, target, {}, PromotionPolicy.NEVER)
        job = self._service.trained(work, self._number)
        return LocalVersion(self._service, int(_result(self._service, job)["version"]))


def _result(service: LocalBatchService, job: Job) -> dict[str, Any]:
    if job.failure is None:
        return service.result(job)
    failure = job.failure
    if failure.code in CRASHES:
        raise Crashed(f"{failure.code}: {failure.detail}")
    raise _refused(failure.code, failure.detail, failure.findings)


def _refused(code: str, detail: str, findings: tuple[Finding, ...]) -> Refused:
    rows = [_ROW.match(finding.pointer) for finding in findings]
    return Refused(
        findings[0].code if findings else code,
        findings[0].detail if findings else detail,
        next((finding.column for finding in findings if finding.column), None),
        tuple(sorted({int(row[1]) for row in rows if row})),
    )


def client_refusal(error: ValueError | TypeError) -> Refused:
    column = re.search(r"column (?:'([^']+)'|\"([^\"]+)\")", str(error))
    return Refused("client", str(error), column and (column[1] or column[2]))


@contextmanager
def _refusing_client() -> Iterator[None]:
    """The client refuses with ValueError or TypeError; any other error is a fault of it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise client_refusal(error) from None
    except Exception as error:
        raise Crashed(f"the client raised {type(error).__name__}: {error}") from error
