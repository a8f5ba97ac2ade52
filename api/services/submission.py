"""Submits, retries, cancels and deletes jobs. Names no framework.

The record and its entry in the lane are written at once, and that is the acceptance: if the doorbell cannot be rung
after it, the reaper rings it. A caller who gets no answer sends the same Idempotency-Key again and gets the same job.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from api.services.callers_jobs import require_callers_job
from api.services.inline_rows import copy_rows, delete_rows
from api.services.job_files import discard_unless_accepted, unread_file
from api.services.submit_options import JobDefaults, SubmitOptions, Submitted
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.deletion import remaining_versions
from queuecast.domain.errors import (
    AliasMovedError,
    Finding,
    InvalidInputError,
    StaleWriteError,
    StoreFullError,
    UnknownAliasError,
    mismatch,
)
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.nearest_names import unknown_name
from queuecast.domain.job import Job, JobType, ModelRef, Progress
from queuecast.domain.lane import Lane
from queuecast.domain.model import Manifest, require_name
from queuecast.domain.timeline import accepted_at
from queuecast.domain.work import (
    BatchWork,
    EvaluationWork,
    ImportWork,
    Method,
    PredictionWork,
    TrainingWork,
    Work,
    batch_of_rows,
)
from queuecast.job_updates import update_job
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.files import FileStore
from queuecast.ports.jobs import IdempotencyKey, JobStore
from queuecast.ports.models import ModelRegistry

MAX_MEMORY_USE = 0.8  # of Redis; the rest is for running accepted jobs and storing their results


CheckJob = Callable[[Job], object]
"""Raises an error if the caller's condition does not hold for the job as it is."""


def accept_any(_job: Job) -> None:
    """The condition of a caller that has none."""


class Submission:
    def __init__(
        self,
        jobs: JobStore,
        doorbell: Doorbell,
        models: ModelRegistry,
        aliases: AliasStore,
        new_id: Callable[[str], str],
        clock: Clock,
        defaults: JobDefaults,
        files: FileStore,
    ) -> None:
        self._jobs = jobs
        self._doorbell = doorbell
        self._models = models
        self._aliases = aliases
        self._new_id = new_id
        self._clock = clock
        self._defaults = defaults
        self._files = files
        self._cached: dict[tuple[str, str], tuple[Manifest, ModelRef]] = {}  # by model and alias
        self._memory = (float("-inf"), 0, 0)  # when it was read, bytes in use, limit in bytes

    def resolve(self, model: str, wanted: int | str) -> tuple[Manifest, ModelRef]:
        """The version that a number or an alias names now.

        Raises UnknownModelError, UnknownVersionError or UnknownAliasError, or the error of one that was deleted.
        """
        if isinstance(wanted, int):
            return self._pinned(model, wanted)
        return self._pinned(model, self._aliased(model, wanted), wanted)

    def _pinned(self, model: str, version: int, alias: str | None = None) -> tuple[Manifest, ModelRef]:
        manifest = self._models.manifest(model, version)
        return manifest, ModelRef(model, manifest.version, alias, manifest.sha256)

    def _aliased(self, model: str, alias: str) -> int:
        present = self._aliases.read(model)
        aliases = present.versions
        if alias not in aliases:
            # Raises UnknownModelError or GoneModelError, which are the more useful answers.
            versions = remaining_versions(model, self._models.versions(model), present)
            known = list_names(sorted(aliases))
            hint = f"; send version {alias} as a number, without quotes" if alias in map(str, versions) else ""
            detail = f"model {model} has no alias {alias[:80]!r}; it has {known}{hint}"
            finding = unknown_name(Finding("/version", "unknown_alias", detail), alias, aliases)
            raise UnknownAliasError(finding.detail, (finding,))
        return aliases[alias]

    def find_repeated(self, key: IdempotencyKey | None) -> Submitted | None:
        """The job that an earlier request with this key created, whatever has happened to the model since.

        Raises KeyReusedError if the key belongs to a different request, GoneJobError if that job's record is gone.
        """
        job_id = None if key is None else self._jobs.find_repeated(key)
        return None if job_id is None else Submitted(self._jobs.read(job_id), is_repeated=True)

    def new_job_id(self) -> str:
        return self._new_id("job")

    def predict(
        self,
        model: str,
        wanted: int | str,
        options: SubmitOptions,
        check: Callable[[Manifest], tuple[PredictionWork, bytes, IgnoredColumns | None]],
    ) -> Submitted:
        """check: checks the request against a version and returns the work, its rows as JSON, and the columns ignored.

        The version of an alias is cached, which saves a round trip. The store reports an alias that was moved since,
        and rows that do not fit the cached version may fit that of now. Then `check` is called again for that one.
        """
        max_moves = 5
        for _ in range(max_moves):
            manifest, ref = self._resolve_cached(model, wanted)
            try:
                work, rows, ignored = check(manifest)
                options = options if ignored is options.ignored_columns else replace(options, ignored_columns=ignored)
                return self._submit(JobType.PREDICTION, ref, work, options, rows, checks_alias=ref.alias is not None)
            except AliasMovedError:
                self._cached.pop((model, ref.alias or ""), None)
            except InvalidInputError:
                if not self._drop_outdated(ref):
                    raise
        raise StaleWriteError(
            f"alias {wanted} of {model} was moved {max_moves} times while the job was submitted; try again"
        )

    def _resolve_cached(self, model: str, wanted: int | str) -> tuple[Manifest, ModelRef]:
        if isinstance(wanted, int):
            return self._pinned(model, wanted)
        resolved = self._cached.get((model, wanted))
        if resolved is None:
            resolved = self._cached[model, wanted] = self.resolve(model, wanted)
        return resolved

    def _drop_outdated(self, ref: ModelRef) -> bool:
        """Whether the alias that led to this version names another one now. Then it is cached no longer."""
        if ref.alias is None or self._aliases.read(ref.name).versions.get(ref.alias) == ref.version:
            return False
        self._cached.pop((ref.name, ref.alias), None)
        return True

    def train(self, ref: ModelRef, work: TrainingWork, options: SubmitOptions) -> Submitted:
        """Raises ConflictError while another training of the model is queued or running."""
        return self._submit(JobType.TRAINING, ref, work, options)

    def evaluate(self, ref: ModelRef, work: EvaluationWork, options: SubmitOptions) -> Submitted:
        return self._submit(JobType.EVALUATION, ref, work, options)

    def import_model(self, model: str, work: ImportWork, options: SubmitOptions) -> Submitted:
        require_name(model, "model")
        return self._submit(JobType.IMPORT, ModelRef(model), work, options)

    def batch(self, ref: ModelRef, work: BatchWork, options: SubmitOptions) -> Submitted:
        return self._submit(JobType.BATCH, ref, work, options, progress=unread_file(self._files, work.file_id))

    def retry(self, job_id: str, check: CheckJob = accept_any, *, is_dead_letter: bool = False) -> Job:
        """A new job with the same work on the same version. is_dead_letter: take the job off the list of dead letters.

        Raises IllegalMoveError for a job that has not ended or has succeeded, ConflictError for a dead letter that was
        already replayed, GoneJobError or UnknownJobError.
        """
        ended = require_callers_job(self._jobs.read(job_id))
        check(ended)
        retry = ended.retried_as(self._new_id("job"), self._clock(), self._defaults.max_attempts)
        work, rows = self._jobs.read_work(job_id)
        dead_letter = job_id if is_dead_letter else None
        if not isinstance(work, BatchWork):
            return self._record(retry, work, rows, dead_letter=dead_letter).job
        if ended.attempt or work.resumes is None:
            # A batch that never started has no chunks of its own; its retry resumes the same earlier batch.
            work = replace(work, resumes=job_id)
        retry = retry.changed(progress=unread_file(self._files, work.file_id))
        copy = copy_rows(self._files, job_id)
        if copy is None:
            return self._record(retry, work, rows, dead_letter=dead_letter).job
        with discard_unless_accepted(self._files) as stored_files:
            stored_files.append(copy)
            retry = retry.changed(id=batch_of_rows(copy.id))
            return self._record(retry, replace(work, file_id=copy.id), rows, dead_letter=dead_letter).job

    def delete(self, job_id: str, check: CheckJob = accept_any) -> None:
        """Purges an ended job and its rows. Raises as `JobStore.delete`."""
        check(require_callers_job(self._jobs.read(job_id)))
        self._jobs.delete(job_id)
        delete_rows(self._files, job_id)

    def cancel(self, job_id: str, check: CheckJob = accept_any) -> Job:
        """Raises UnknownJobError, or IllegalMoveError for a job that has ended otherwise. Safe to call again."""

        def decide(job: Job) -> Job | None:
            check(require_callers_job(job))
            canceled = job.cancel_requested(self._clock(), self._defaults.retention_s)
            return None if canceled is job else canceled

        updated = update_job(self._jobs, self._doorbell, job_id, decide)
        return updated or require_callers_job(self._jobs.read(job_id))

    def _submit(
        self,
        kind: JobType,
        ref: ModelRef,
        work: Work,
        options: SubmitOptions,
        rows: bytes = b"",
        *,
        checks_alias: bool = False,
        progress: Progress | None = None,
    ) -> Submitted:
        now = self._clock()
        max_timeout_s = self._defaults.timeouts_s[kind]
        job = Job(
            id=options.job_id or self.new_job_id(),
            type=kind,
            model=ref,
            created_at=now,
            max_attempts=self._defaults.max_attempts,
            lane=str(Lane.of_job(kind, ref, work, options.priority)),
            priority=options.priority,
            timeout_s=float(max_timeout_s if options.timeout_s is None else options.timeout_s),  # as it is read back
            expires_at=None if options.expires_in_s is None else now + options.expires_in_s,
            metadata=options.metadata,
            ignored_columns=options.ignored_columns,
            progress=progress,
            **accepted_at(now),
        )
        if job.timeout_s > max_timeout_s:
            expected = f"at most {max_timeout_s:g} s for a {kind}"
            finding = mismatch("/timeout_s", "too_long", f"{job.timeout_s:g} s", expected)
            raise InvalidInputError(finding.detail, (finding,))
        return self._record(job, work, rows, options.idempotency_key, checks_alias=checks_alias)

    def _record(
        self,
        job: Job,
        work: Work,
        rows: bytes,
        key: IdempotencyKey | None = None,
        dead_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Submitted:
        self._require_memory()
        accepted = self._jobs.create(job, work, rows, key, dead_letter, checks_alias=checks_alias)
        if accepted.must_ring:
            self._doorbell.ring(job.lane)  # if it fails, the job stays accepted and the reaper rings
        if accepted.job_id != job.id:
            return Submitted(self._jobs.read(accepted.job_id), is_repeated=True)
        return Submitted(job)

    def _require_memory(self) -> None:
        """Raises StoreFullError while Redis is short of memory. Reads its memory once a second at most."""
        read_at, used, limit = self._memory
        if time.monotonic() - read_at > 1.0:
            used, limit = self._jobs.memory()
            self._memory = time.monotonic(), used, limit
        if limit and used > limit * MAX_MEMORY_USE:
            detail = f"Redis uses {used} of {limit} bytes; new jobs are accepted below {MAX_MEMORY_USE:.0%}"
            raise StoreFullError(detail)


def require_method(manifest: Manifest, method: Method) -> None:
    """Raises InvalidInputError when the version has no such method."""
    methods = manifest.signature.methods
    if method not in methods:
        names = ", ".join(methods)
        detail = f"{manifest.model} version {manifest.version} has no method {method}; it has {names}"
        finding = Finding("/method", "unknown_method", detail, method.value, f"one of {names}")
        raise InvalidInputError(detail, (finding,))
