"""The use case of the gateway: pin the version, record the job in its lane, ring for a worker. Names no framework.

Record and lane are written at once, and that is the acceptance: a bell that cannot be rung after it is rung by the
reaper. A caller who does not hear the answer sends the same Idempotency-Key again and gets the same job.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from api.services.inline_rows import copied_rows, drop_rows
from api.services.uploads import discard_unless_accepted
from queuecast.domain.errors import (
    AliasMovedError,
    Finding,
    InvalidInputError,
    StaleWriteError,
    StoreFullError,
    UnknownAliasError,
)
from queuecast.domain.job import Job, JobType, ModelRef, Priority
from queuecast.domain.lane import Lane
from queuecast.domain.model import Manifest, require_name
from queuecast.domain.timeline import accepted_at
from queuecast.domain.work import BatchWork, ImportWork, Method, PredictionWork, TrainingWork, Work, batch_of_rows
from queuecast.job_updates import update_job
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.files import FileStore
from queuecast.ports.jobs import IdempotencyKey, JobStore
from queuecast.ports.models import ModelRegistry

MEMORY_LIMIT = 0.8  # of Redis's; the rest is for what was accepted already to be run and answered
MEMORY_LOOK_S = 1.0
LOOKS = 5  # at an alias that is moved again and again while a job is accepted


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """The settings that every job gets on its way."""

    retention_s: float
    max_attempts: int
    timeouts_s: Mapping[JobType, float]


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What a caller may say of any submit. repeat: its Idempotency-Key with a digest of the request."""

    metadata: dict[str, Any] = field(default_factory=dict)
    expires_in_s: float | None = None
    timeout_s: float | None = None
    priority: Priority = Priority.NORMAL
    job_id: str | None = None
    """For somebody who waits for the job before it is there; see `Submission.new_job_id`."""
    repeat: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    job: Job
    is_replay: bool = False
    """Whether an earlier request with the same Idempotency-Key led to the job."""


class Submission:
    def __init__(
        self,
        jobs: JobStore,
        bells: Doorbell,
        models: ModelRegistry,
        aliases: AliasStore,
        new_id: Callable[[str], str],
        clock: Clock,
        rules: JobDefaults,
        files: FileStore,
    ) -> None:
        self._jobs = jobs
        self._bells = bells
        self._models = models
        self._aliases = aliases
        self._new_id = new_id
        self._clock = clock
        self._rules = rules
        self._files = files
        self._versions: dict[tuple[str, str], int] = {}
        self._memory = (float("-inf"), 0, 0)  # when it was looked at, used bytes, the most bytes

    def resolve(self, model: str, wanted: int | str) -> tuple[Manifest, ModelRef]:
        """The version that a number or an alias names now. Raises UnknownModelError, -VersionError or -AliasError."""
        if isinstance(wanted, int):
            return self._pinned(model, wanted)
        return self._pinned(model, self._aliased(model, wanted), wanted)

    def _pinned(self, model: str, version: int, alias: str | None = None) -> tuple[Manifest, ModelRef]:
        manifest = self._models.manifest(model, version)
        return manifest, ModelRef(model, manifest.version, alias, manifest.sha256)

    def _aliased(self, model: str, alias: str) -> int:
        aliases = self._aliases.read(model).versions
        if alias not in aliases:
            versions = self._models.versions(model)  # an unknown model is the better answer
            known = ", ".join(sorted(aliases)) or "none"
            hint = f"; version {alias} is named by a number, without quotes" if alias in map(str, versions) else ""
            raise UnknownAliasError(f"model {model} has no alias {alias[:80]!r}; it has {known}{hint}")
        return aliases[alias]

    def find_replay(self, repeat: IdempotencyKey | None) -> Submitted | None:
        """The job that this very request led to before, whatever the model has become since.

        Raises KeyReusedError when the key came with another request, GoneJobError when that job's record is gone.
        """
        job_id = None if repeat is None else self._jobs.find_replay(repeat)
        return None if job_id is None else Submitted(self._jobs.read(job_id), is_replay=True)

    def new_job_id(self) -> str:
        return self._new_id("job")

    def predict(
        self,
        model: str,
        wanted: int | str,
        terms: SubmitOptions,
        checked: Callable[[Manifest], tuple[PredictionWork, bytes]],
    ) -> Submitted:
        """checked: the work and its rows as JSON, once they were checked against a version; called again for another.

        Aliases are remembered, to save a round trip: the store says when one was moved since.
        """
        for _ in range(LOOKS):
            manifest, ref = self._resolved(model, wanted)
            work, rows = checked(manifest)
            try:
                return self._submit(JobType.PREDICTION, ref, work, terms, rows, checks_alias=ref.alias is not None)
            except AliasMovedError:
                self._versions.pop((model, ref.alias or ""), None)
        raise StaleWriteError(
            f"alias {wanted} of {model} was moved {LOOKS} times while the job was submitted; try again"
        )

    def _resolved(self, model: str, wanted: int | str) -> tuple[Manifest, ModelRef]:
        if isinstance(wanted, int):
            return self._pinned(model, wanted)
        version = self._versions.get((model, wanted)) or self._aliased(model, wanted)
        found = self._pinned(model, version, wanted)
        self._versions[model, wanted] = version
        return found

    def train(self, ref: ModelRef, work: TrainingWork, terms: SubmitOptions) -> Submitted:
        """Raises ConflictError while another training of the model is queued or runs."""
        return self._submit(JobType.TRAINING, ref, work, terms)

    def import_model(self, model: str, work: ImportWork, terms: SubmitOptions) -> Submitted:
        require_name(model, "model")
        return self._submit(JobType.IMPORT, ModelRef(model), work, terms)

    def batch(self, ref: ModelRef, work: BatchWork, terms: SubmitOptions) -> Submitted:
        return self._submit(JobType.BATCH, ref, work, terms)

    def retry(self, job_id: str, *, is_dead_letter: bool = False) -> Job:
        """A new job with the same work on the same version. is_dead_letter: it must be one, and is none afterwards.

        Raises IllegalMoveError for a job that has not ended or has succeeded, ConflictError for a letter that was
        replayed before, GoneJobError or UnknownJobError.
        """
        ended = self._jobs.read(job_id)
        again = ended.retried_as(self._new_id("job"), self._clock(), self._rules.max_attempts)
        work, rows = self._jobs.read_work(job_id)
        letter = job_id if is_dead_letter else None
        if not isinstance(work, BatchWork):
            return self._record(again, work, rows, letter=letter).job
        if ended.attempt or work.resumes is None:
            work = replace(work, resumes=job_id)  # one that was never started has no more than what it resumes
        copy = copied_rows(self._files, job_id)
        if copy is None:
            return self._record(again, work, rows, letter=letter).job
        with discard_unless_accepted(self._files) as kept:
            kept.append(copy)
            again = replace(again, id=batch_of_rows(copy.id))
            return self._record(again, replace(work, file_id=copy.id), rows, letter=letter).job

    def delete(self, job_id: str) -> None:
        """Purges an ended job, with its rows. Raises as `JobStore.delete`."""
        self._jobs.delete(job_id)
        drop_rows(self._files, job_id)

    def cancel(self, job_id: str) -> Job:
        """Raises UnknownJobError, or IllegalMoveError for a job that has ended otherwise. Safe to call again."""

        def decide(present: Job) -> Job | None:
            canceled = present.cancel_requested(self._clock(), self._rules.retention_s)
            return None if canceled is present else canceled

        return update_job(self._jobs, self._bells, job_id, decide) or self._jobs.read(job_id)

    def _submit(
        self,
        kind: JobType,
        ref: ModelRef,
        work: Work,
        terms: SubmitOptions,
        rows: bytes = b"",
        *,
        checks_alias: bool = False,
    ) -> Submitted:
        now = self._clock()
        most_s = self._rules.timeouts_s[kind]
        job = Job(
            id=terms.job_id or self.new_job_id(),
            type=kind,
            model=ref,
            created_at=now,
            max_attempts=self._rules.max_attempts,
            lane=str(Lane.of_job(kind, ref, work, terms.priority)),
            priority=terms.priority,
            timeout_s=float(most_s if terms.timeout_s is None else terms.timeout_s),  # as it is read back
            expires_at=None if terms.expires_in_s is None else now + terms.expires_in_s,
            metadata=terms.metadata,
            **accepted_at(now),
        )
        if job.timeout_s > most_s:
            detail = f"found {job.timeout_s:g} s, expected at most {most_s:g} s for a {kind}"
            raise InvalidInputError(detail, (Finding("/timeout_s", "too_long", detail),))
        return self._record(job, work, rows, terms.repeat, checks_alias=checks_alias)

    def _record(
        self,
        job: Job,
        work: Work,
        rows: bytes,
        repeat: IdempotencyKey | None = None,
        letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Submitted:
        self._require_room()
        accepted = self._jobs.create(job, work, rows, repeat, letter, checks_alias=checks_alias)
        if accepted.must_ring:
            self._bells.ring(job.lane)  # accepted is accepted, whether it can be heard or not
        if accepted.job_id != job.id:
            return Submitted(self._jobs.read(accepted.job_id), is_replay=True)
        return Submitted(job)

    def _require_room(self) -> None:
        """Raises StoreFullError while Redis has little memory left. It is asked once a second at most."""
        looked_at, used, most = self._memory
        if time.monotonic() - looked_at > MEMORY_LOOK_S:
            used, most = self._jobs.memory()
            self._memory = time.monotonic(), used, most
        if most and used > most * MEMORY_LIMIT:
            raise StoreFullError(f"Redis uses {used} of {most} bytes; new jobs are taken below {MEMORY_LIMIT:.0%}")


def require_method(manifest: Manifest, method: Method) -> None:
    """Raises InvalidInputError when the version has no such method."""
    methods = manifest.signature.methods
    if method not in methods:
        detail = f"{manifest.model} version {manifest.version} has no {method}; it has {', '.join(methods)}"
        raise InvalidInputError(detail, (Finding("/method", "unknown_method", detail),))
