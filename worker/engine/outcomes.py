"""How runs end: turns a result, an error or a stop into the next revision of the job, and writes it."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from queuecast.domain.errors import Failure, QueuecastError, exception_text
from queuecast.domain.job import Job, State
from queuecast.domain.lost_attempts import after_loss, is_transient
from queuecast.job_updates import Decide
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.lanes import Reservation
from worker.engine.contracts import ClaimedJob, Result, RunLimits, SharedRunner
from worker.engine.job_writer import JobWriter, Update
from worker.engine.leases import StopReason

log = get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the run of `job` ended: the move to make and the result to store."""

    reservation: Reservation
    job: Job
    move: Callable[[Job], Job]
    result: bytes | None = None

    def as_update(self) -> Update:
        """For a record that was not written since the claim."""
        return Update(self.reservation, self.move(self.job), self.result)


class OutcomeRecorder:
    """Each write names the attempt, so a run that lost its job changes nothing."""

    def __init__(self, writer: JobWriter, clock: Clock, jitter: Callable[[], float], limits: RunLimits) -> None:
        self._writer = writer
        self._clock = clock
        self._jitter = jitter
        self._limits = limits

    def of_call(self, claimed: list[ClaimedJob], run: SharedRunner) -> list[Outcome]:
        """Runs the jobs in one call."""
        try:
            results = run(claimed)
        except Exception as error:  # the model could not be loaded, so no job has an answer
            results = [error] * len(claimed)
        return [self.of(each.reservation, each.job, result) for each, result in zip(claimed, results, strict=True)]

    def of(self, reservation: Reservation, job: Job, result: Result | Exception) -> Outcome:
        if isinstance(result, Result):
            try:
                encoded = msgspec.json.encode(result.value)
            except Exception as error:  # an estimator may return any value
                result = error
            else:
                if len(encoded) <= self._limits.max_result_bytes:
                    ended = result
                    return Outcome(reservation, job, lambda present: self._succeeded(present, ended), encoded)
                result = _too_large(len(encoded), self._limits.max_result_bytes)
        if isinstance(result, QueuecastError):
            end = self._lost if is_transient(result) else self._failed
            failure = result.failure
            return Outcome(reservation, job, lambda present: end(present, failure))
        log.error("run_crashed", job_id=job.id, exc_info=result)
        crash = Failure("run_failed", exception_text(result))
        return Outcome(reservation, job, lambda present: self._failed(present, crash))

    def _succeeded(self, present: Job, result: Result) -> Job:
        ended = present.succeeded(self._clock(), self._limits.retention_s)
        if result.ignored_columns is not None:
            ended = ended.changed(ignored_columns=result.ignored_columns)
        return ended if result.model is None else ended.changed(model=result.model)

    def _failed(self, present: Job, failure: Failure) -> Job:
        return present.failed(failure, self._clock(), self._limits.retention_s)

    def _lost(self, present: Job, failure: Failure) -> Job:
        return after_loss(present, failure, self._clock(), self._jitter(), self._limits.retention_s)

    def record(self, outcome: Outcome) -> None:
        """Writes the outcome if the run still owns its job."""
        self._write(outcome.reservation, outcome.job, outcome.move, outcome.result)

    def record_stop(
        self,
        reservation: Reservation,
        job: Job,
        reason: StopReason | None,
        *,
        is_patient: bool = True,
        is_shared: bool = False,
    ) -> None:
        """Writes the outcome of a run that was asked to stop. A run that lost its lease has none.

        is_shared: the call ran other jobs too, and any of them may be the one that hung.
        """

        def move(present: Job) -> Job | None:
            is_late = reason is StopReason.TIMEOUT
            if is_late and not is_shared:
                detail = f"the run took longer than {job.timeout_s:g} s and was ended"
                return self._failed(present, Failure("timeout", detail))
            if is_late or reason in (StopReason.SHUTDOWN, StopReason.NEIGHBOR):
                return present.handed_back(self._clock(), self._limits.retention_s, runs_alone=is_late)
            return None

        self._write(reservation, job, move, is_patient=is_patient)

    def _write(
        self, reservation: Reservation, job: Job, move: Decide, result: bytes | None = None, *, is_patient: bool = True
    ) -> None:
        def decide(present: Job) -> Job | None:
            if not present.is_run_by(job.attempt):
                return None
            if present.state is State.CANCELING:
                return present.stopped(self._clock(), self._limits.retention_s)
            return move(present)

        ended = self._writer.update(reservation, decide, result, is_patient=is_patient)
        if ended is None:
            log.info("result_dropped", job_id=job.id, attempt=job.attempt)
        else:
            code = ended.failure.code if ended.failure else None
            log.info("run_ended", job_id=job.id, state=ended.state, attempt=ended.attempt, code=code)


def _too_large(size: int, limit: int) -> QueuecastError:
    detail = f"the result has {size} bytes, expected at most {limit}; ask for fewer rows at a time"
    return QueuecastError(detail, code="result_too_large")
