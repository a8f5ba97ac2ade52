"""How runs end: what a run said, or that it was stopped, as the next revision of its job, and the writing of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from queuecast.domain.errors import QueuecastError, raised
from queuecast.domain.job import Failure, Job, ModelRef, State, failure_of
from queuecast.domain.retry import after_loss, is_transient
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.lanes import Reservation
from worker.engine.contracts import ClaimedJob, Result, RunLimits
from worker.engine.job_writer import JobWriter, Move
from worker.engine.leases import StopReason

log = get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: the move for it, and what it leaves."""

    move: Callable[[Job], Job]
    result: bytes | None = None


class OutcomeRecorder:
    """Moves of a worker's own runs. What is written names the attempt: a run that lost its job ends nothing."""

    def __init__(self, writes: JobWriter, clock: Clock, jitter: Callable[[], float], rules: RunLimits) -> None:
        self._writes = writes
        self._clock = clock
        self._jitter = jitter
        self._rules = rules

    def of_all(self, orders: list[ClaimedJob], run: Callable[[], list[Result | Exception]]) -> list[Outcome]:
        try:
            found = run()
        except Exception as error:  # the model could not be loaded: nobody has an answer
            found = [error] * len(orders)
        return [self.of(order.job, each) for order, each in zip(orders, found, strict=True)]

    def of(self, job: Job, found: Result | Exception) -> Outcome:
        if isinstance(found, Result):
            try:
                encoded = msgspec.json.encode(found.value)
            except Exception as error:  # an estimator returns what it likes
                found = error
            else:
                if len(encoded) <= self._rules.max_result_bytes:
                    model = found.model
                    return Outcome(lambda present: self._succeeded(present, model), encoded)
                found = _too_large(len(encoded), self._rules.max_result_bytes)
        if isinstance(found, QueuecastError):
            ended = self._lost if is_transient(found) else self._failed
            failure = failure_of(found)
            return Outcome(lambda present: ended(present, failure))
        log.error("run_crashed", job_id=job.id, exc_info=found)
        crash = Failure("run_failed", raised(found))
        return Outcome(lambda present: self._failed(present, crash))

    def _succeeded(self, present: Job, model: ModelRef | None) -> Job:
        ended = present.succeeded(self._clock(), self._rules.retention_s)
        return ended if model is None else replace(ended, model=model)

    def _failed(self, present: Job, failure: Failure) -> Job:
        return present.failed(failure, self._clock(), self._rules.retention_s)

    def _lost(self, present: Job, failure: Failure) -> Job:
        return after_loss(present, failure, self._clock(), self._jitter(), self._rules.retention_s)

    def stop(
        self,
        reservation: Reservation,
        job: Job,
        reason: StopReason | None,
        *,
        is_patient: bool = True,
        in_company: bool = False,
    ) -> None:
        """Writes how a run ended that was asked to stop. For one that lost its lease there is nothing to write.

        in_company: it was in one call with others, and which of them made it hang is not known.
        """

        def move(present: Job) -> Job | None:
            is_late = reason is StopReason.TIMEOUT
            if is_late and not in_company:
                detail = f"the run took longer than {job.timeout_s:g} s and was ended"
                return self._failed(present, Failure("timeout", detail))
            if is_late or reason in (StopReason.SHUTDOWN, StopReason.NEIGHBOR):
                return present.handed_back(self._clock(), self._rules.retention_s, runs_alone=is_late)
            return None

        self.finish(reservation, job, move, is_patient=is_patient)

    def finish(
        self,
        reservation: Reservation,
        job: Job,
        move: Move,
        result: bytes | None = None,
        *,
        is_patient: bool = True,
    ) -> None:
        """Writes the end of a run, if it still owns its job; for one that was to be canceled the end is that."""

        def decide(present: Job) -> Job | None:
            if not present.is_run_by(job.attempt):
                return None
            if present.state is State.CANCELING:
                return present.stopped(self._clock(), self._rules.retention_s)
            return move(present)

        ended = self._writes.one(reservation, decide, result, is_patient=is_patient)
        if ended is None:
            log.info("result_dropped", job_id=job.id, attempt=job.attempt)
        else:
            code = ended.failure.code if ended.failure else None
            log.info("run_ended", job_id=job.id, state=ended.state, attempt=ended.attempt, code=code)


def _too_large(found: int, limit: int) -> QueuecastError:
    detail = f"the result has {found} bytes, expected at most {limit}; ask for fewer rows at a time"
    return QueuecastError(detail, code="result_too_large")
