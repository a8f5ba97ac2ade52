"""The use case of a worker: claim a job, run it, write how it ended. Names no framework and no estimator.

Whatever is delivered twice or too late is harmless here: a job that is not queued is not claimed, and a run that
lost its job finds its writes refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from queuecast.domain.errors import JobStoppedError, QueuecastError, StaleWriteError, UnavailableError, UnknownJobError
from queuecast.domain.job import Failure, Job, JobType, ModelRef, Progress, State, failure_of
from queuecast.domain.work import Work
from queuecast.logs import get_logger
from queuecast.ports import Clock, JobStore

log = get_logger()

Report = Callable[[Progress], None]
"""Stores a run's progress. Raises JobStoppedError when the run must end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has to say, as JSON values, and the version that it made or ran on."""

    value: dict[str, Any]
    model: ModelRef | None = None


Runner = Callable[[Job, Work, bytes, Report], Result]


class Execution:
    def __init__(
        self, jobs: JobStore, runners: Mapping[JobType, Runner], clock: Clock, worker: str, retention_s: float
    ) -> None:
        self._jobs = jobs
        self._runners = runners
        self._clock = clock
        self._worker = worker
        self._retention_s = retention_s

    def run(self, job_id: str) -> None:
        """Runs the job if it is there to be run. Raises UnavailableError when the store is away."""
        job = self._claim(job_id)
        if job is None:
            return
        try:
            work, rows = self._jobs.read_work(job_id)
            result = self._runners[job.type](job, work, rows, self._reporter(job))
            encoded = msgspec.json.encode(result.value)
        except (JobStoppedError, UnknownJobError):
            self._stop(job)
        except UnavailableError:
            raise
        except QueuecastError as error:
            self._fail(job, failure_of(error))
        except Exception as error:  # an estimator raises and returns what it likes
            log.exception("run_crashed", job_id=job_id)
            self._fail(job, Failure("run_failed", f"{type(error).__name__}: {error}"))
        else:
            self._succeed(job, result, encoded)

    def fail_lost(self, job_id: str, failure: Failure) -> None:
        """Fails a job whose process died or was ended, if it still runs. Safe to call twice."""
        try:
            job = self._jobs.read(job_id)
        except UnknownJobError:
            return
        self._fail(job, failure)

    def _claim(self, job_id: str) -> Job | None:
        def decide(present: Job) -> Job | None:
            now = self._clock()
            if present.is_due_to_expire(now):
                return present.expired(now, self._retention_s)
            return present.claimed(self._worker, now) if present.state is State.QUEUED else None

        job = self._apply(job_id, decide)
        if job is None:
            log.info("delivery_ignored", job_id=job_id)
            return None
        waited_ms = round((self._clock() - job.created_at) * 1000)
        log.info(f"job_{job.state}", job_id=job_id, type=job.type, attempt=job.attempt, waited_ms=waited_ms)
        return job if job.state is State.RUNNING else None

    def _reporter(self, job: Job) -> Report:
        def report(progress: Progress) -> None:
            if self._apply(job.id, self._if_running(job, lambda present: present.progressed(progress))) is None:
                raise JobStoppedError(f"job {job.id} was asked to stop, or is run by somebody else now")

        return report

    def _succeed(self, job: Job, result: Result, encoded: bytes) -> None:
        def move(present: Job) -> Job:
            return replace(present.succeeded(self._clock(), self._retention_s), model=result.model or present.model)

        self._finish(job, move, encoded)

    def _fail(self, job: Job, failure: Failure) -> None:
        self._finish(job, lambda present: present.failed(failure, self._clock(), self._retention_s))

    def _finish(self, job: Job, move: Callable[[Job], Job], result: bytes | None = None) -> None:
        ended = self._apply(job.id, self._if_running(job, move), result)
        if ended is None:
            self._stop(job)
        else:
            code = ended.failure.code if ended.failure else None
            log.info("job_ended", job_id=job.id, state=ended.state, attempt=ended.attempt, code=code)

    def _stop(self, job: Job) -> None:
        def decide(present: Job) -> Job | None:
            is_ours = present.is_run_by(job.attempt) and present.state is State.CANCELING
            return present.stopped(self._clock(), self._retention_s) if is_ours else None

        stopped = self._apply(job.id, decide)
        log.info("job_ended" if stopped else "result_dropped", job_id=job.id, attempt=job.attempt)

    @staticmethod
    def _if_running(job: Job, move: Callable[[Job], Job]) -> Callable[[Job], Job | None]:
        """`move`, for as long as this run owns the job and nobody asked it to stop."""

        def decide(present: Job) -> Job | None:
            is_ours = present.is_run_by(job.attempt) and present.state is State.RUNNING
            return move(present) if is_ours else None

        return decide

    def _apply(self, job_id: str, decide: Callable[[Job], Job | None], result: bytes | None = None) -> Job | None:
        """Reads, decides and writes, again until nobody wrote in between. None when there is nothing to write."""
        while True:
            try:
                moved = decide(self._jobs.read(job_id))
                if moved is not None:
                    self._jobs.replace(moved, result)
            except StaleWriteError:
                continue
            except UnknownJobError:
                return None
            return moved
