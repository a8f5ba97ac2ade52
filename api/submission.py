"""The use case of the gateway: pin the version, record the job, ring for a worker. Names no framework.

The record comes first: a job that rings must be there to be claimed. If the bell cannot be rung, the record is taken
back and the caller is told, so that nothing is half accepted.
"""

from collections.abc import Callable
from typing import Any

from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    StaleWriteError,
    UnavailableError,
    UnknownAliasError,
)
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.model import Manifest, require_name
from queuecast.domain.work import ImportWork, Method, PredictionWork, TrainingWork, Work
from queuecast.ports import AliasStore, Clock, Doorbell, JobStore, ModelRegistry

MAX_ATTEMPTS = 1


class Submission:
    def __init__(
        self,
        jobs: JobStore,
        bells: Doorbell,
        models: ModelRegistry,
        aliases: AliasStore,
        new_id: Callable[[str], str],
        clock: Clock,
        retention_s: float,
    ) -> None:
        self._jobs = jobs
        self._bells = bells
        self._models = models
        self._aliases = aliases
        self._new_id = new_id
        self._clock = clock
        self._retention_s = retention_s

    def resolve(self, model: str, wanted: int | str) -> tuple[Manifest, ModelRef]:
        """The version that a number or an alias names now. Raises UnknownModelError, -VersionError or -AliasError."""
        version, alias = (wanted, None) if isinstance(wanted, int) else (self._aliased(model, wanted), wanted)
        manifest = self._models.manifest(model, version)
        return manifest, ModelRef(model, manifest.version, alias, manifest.sha256)

    def _aliased(self, model: str, alias: str) -> int:
        aliases = self._aliases.read(model).versions
        if alias not in aliases:
            self._models.versions(model)  # an unknown model is the better answer
            known = ", ".join(sorted(aliases)) or "none"
            raise UnknownAliasError(f"model {model} has no alias {alias[:80]!r}; it has {known}")
        return aliases[alias]

    def predict(
        self,
        ref: ModelRef,
        work: PredictionWork,
        rows: bytes,
        metadata: dict[str, Any],
        expires_in_s: float | None = None,
    ) -> Job:
        """rows: JSON that was checked against the signature of `ref`'s version."""
        return self._submit(JobType.PREDICTION, ref, work, metadata, rows, expires_in_s)

    def train(self, ref: ModelRef, work: TrainingWork, metadata: dict[str, Any]) -> Job:
        """Raises ConflictError while another training of the model is queued or runs."""
        return self._submit(JobType.TRAINING, ref, work, metadata)

    def import_model(self, model: str, work: ImportWork) -> Job:
        require_name(model, "model")
        return self._submit(JobType.IMPORT, ModelRef(model), work, {})

    def cancel(self, job_id: str) -> Job:
        """Raises UnknownJobError, or IllegalMoveError for a job that has ended otherwise. Safe to call again."""
        while True:
            job = self._jobs.read(job_id)
            canceled = job.cancel_requested(self._clock(), self._retention_s)
            if canceled is job:
                return job
            try:
                self._jobs.replace(canceled)
            except StaleWriteError:
                continue
            return canceled

    def _submit(
        self,
        kind: JobType,
        ref: ModelRef,
        work: Work,
        metadata: dict[str, Any],
        rows: bytes = b"",
        expires_in_s: float | None = None,
    ) -> Job:
        now = self._clock()
        job = Job(
            id=self._new_id("job"),
            type=kind,
            model=ref,
            created_at=now,
            max_attempts=MAX_ATTEMPTS,
            expires_at=None if expires_in_s is None else now + expires_in_s,
            metadata=metadata,
        )
        self._jobs.create(job, work, rows)
        try:
            self._bells.ring(job)
        except UnavailableError:
            self._jobs.discard(job.id)
            raise
        return job


def require_method(manifest: Manifest, method: Method) -> None:
    """Raises InvalidInputError when the version has no such method."""
    methods = manifest.signature.methods
    if method not in methods:
        detail = f"{manifest.model} version {manifest.version} has no {method}; it has {', '.join(methods)}"
        raise InvalidInputError(detail, (Finding("/method", "unknown_method", detail),))
