"""The use case of a worker: take jobs from a lane, run them, write how they ended. Names no framework and no estimator.

Whatever is delivered twice or too late is harmless here: a job that is not queued is not claimed, and a run that
lost its job finds its writes refused.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from queuecast.domain.errors import JobStoppedError, QueuecastError, StaleWriteError, UnavailableError, UnknownJobError
from queuecast.domain.job import Failure, Job, JobType, ModelRef, Progress, State, failure_of
from queuecast.domain.lane import kind_of, next_limit
from queuecast.domain.retry import after_loss, is_transient
from queuecast.domain.work import Work
from queuecast.logs import get_logger
from queuecast.ports import Clock, Doorbell, JobStore, Lanes, Reservation
from worker.leases import Hold, Leases, StopReason

log = get_logger()

SLICE_S = 1.0  # how long one message may keep a worker with one lane, so that no lane starves the others
PATIENCE_PAUSE_S = 0.2

Report = Callable[[Progress], None]
"""Stores a run's progress. Raises JobStoppedError when the run must end."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has to say, as JSON values, and the version that it made or ran on."""

    value: dict[str, Any]
    model: ModelRef | None = None


@dataclass(frozen=True, slots=True)
class FannedOut:
    """A run whose job goes on as many. `then` starts them, once no worker holds the job any more."""

    progress: Progress
    then: Callable[[], None]


Runner = Callable[[Job, Work, bytes, Report], Result | FannedOut]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that say how runs end."""

    lease_s: float
    retention_s: float
    max_result_bytes: int


class Execution:
    def __init__(
        self,
        jobs: JobStore,
        lanes: Lanes,
        bells: Doorbell,
        runners: Mapping[JobType, Runner],
        clock: Clock,
        jitter: Callable[[], float],
        worker: str,
        rules: Rules,
        stop_by: Callable[[], float],
        end_process: Callable[[], None],
    ) -> None:
        """stop_by: see Leases. end_process: ends this process at once; does not return."""
        self._jobs = jobs
        self._lanes = lanes
        self._bells = bells
        self._runners = runners
        self._clock = clock
        self._jitter = jitter
        self._worker = worker
        self._rules = rules
        self._end_process = end_process
        self._limits: dict[str, int] = {}
        self._leases = Leases(lanes, rules.lease_s, stop_by, self._give_up)

    def answer(self, lane: str) -> None:
        """Runs what waits in the lane, for a while. Raises UnavailableError when the store is away."""
        if self._leases.is_shutting_down():
            self._ring(lane)  # for somebody else
            return
        # After a chunk the next message may be for somebody who waits for one row.
        ends_at = time.monotonic() + (0 if kind_of(lane) is JobType.CHUNK else SLICE_S)
        answers_bell = True
        while True:
            limit = self._limits.get(lane, 1)
            reserved, must_ring = self._lanes.reserve(lane, self._worker, limit, answers_bell=answers_bell)
            if must_ring:
                self._ring(lane)
            began = time.monotonic()
            self._take_all(reserved, ends_at)
            if reserved:  # a look at an empty lane says nothing of how long its jobs take
                self._limits[lane] = next_limit(lane, limit, time.monotonic() - began)
            answers_bell = False
            if len(reserved) < limit or time.monotonic() >= ends_at or self._leases.is_shutting_down():
                return

    def _take_all(self, reserved: list[Reservation], ends_at: float) -> None:
        self._leases.hold(reserved)
        try:
            for index, each in enumerate(reserved):
                is_late = index > 0 and time.monotonic() >= ends_at
                if is_late or self._leases.is_shutting_down():
                    self._hand_back(each)
                elif (job := self._claim(each)) is not None:
                    self._run(each, job)
                self._leases.release(each)
        finally:  # what is left when the store went away is given back by the reaper
            for each in reserved:
                self._leases.release(each)

    def _hand_back(self, reservation: Reservation) -> None:
        if self._lanes.give_back(reservation):
            self._ring(reservation.lane)

    def _claim(self, reservation: Reservation) -> Job | None:
        def decide(present: Job) -> Job | None:
            if self._leases.reason_to_stop(reservation) is not None:
                return None  # the store was away until just now, for longer than the lease
            now = self._clock()
            if present.is_due_to_expire(now):
                return present.expired(now, self._rules.retention_s)
            return present.claimed(self._worker, now) if present.state is State.QUEUED else None

        job = self._written(reservation, decide)
        if job is None:
            # Not there to be run: ended, run by somebody else, or claimed by us and the answer was lost on the way.
            job = self._ours(reservation)
        if job is None:
            self._hand_back(reservation)
            log.info("delivery_ignored", job_id=reservation.job_id)
            return None
        if job.state is not State.RUNNING:
            log.info(f"job_{job.state}", job_id=job.id, type=job.type)
            return None
        waited_ms = round((self._clock() - (job.queued_at or job.created_at)) * 1000)
        log.info("job_running", job_id=job.id, type=job.type, attempt=job.attempt, waited_ms=waited_ms)
        self._leases.started(reservation, job)
        return job

    def _ours(self, reservation: Reservation) -> Job | None:
        try:
            present = self._jobs.read(reservation.job_id)
        except UnknownJobError:
            return None
        is_ours = present.state is State.RUNNING and present.worker == self._worker
        return present if is_ours and self._leases.reason_to_stop(reservation) is None else None

    def _run(self, reservation: Reservation, job: Job) -> None:
        try:
            work, rows = self._jobs.read_work(job.id)
            result = self._runners[job.type](job, work, rows, self._reporter(reservation, job))
            if isinstance(result, FannedOut):
                self._fan_out(reservation, job, result)
                return
            encoded = msgspec.json.encode(result.value)
            if len(encoded) > self._rules.max_result_bytes:
                raise _too_large(len(encoded), self._rules.max_result_bytes)
        except (JobStoppedError, UnknownJobError):
            self._stop(reservation, job, self._leases.reason_to_stop(reservation))
        except QueuecastError as error:
            ended = self._lost if is_transient(error) else self._failed
            failure = failure_of(error)
            self._finish(reservation, job, lambda present: ended(present, failure))
        except Exception as error:  # an estimator raises and returns what it likes
            log.exception("run_crashed", job_id=job.id)
            failure = Failure("run_failed", f"{type(error).__name__}: {error}")
            self._finish(reservation, job, lambda present: self._failed(present, failure))
        else:
            self._finish(reservation, job, lambda present: self._succeeded(present, result), encoded)

    def _fan_out(self, reservation: Reservation, job: Job, result: FannedOut) -> None:
        self._finish(reservation, job, lambda present: present.fanned_out(result.progress, self._clock()))
        self._leases.release(reservation)  # or its beat would find the lease gone, and end the process for it
        try:
            result.then()
        except UnavailableError as error:  # the reaper starts them
            log.warning("chunks_not_started", job_id=job.id, reason=error.detail)

    def _reporter(self, reservation: Reservation, job: Job) -> Report:
        def report(progress: Progress) -> None:
            def decide(present: Job) -> Job | None:
                return present.progressed(progress) if _is_running(present, job) else None

            must_stop = self._leases.reason_to_stop(reservation) is not None
            if must_stop or self._written(reservation, decide) is None:
                raise JobStoppedError(f"job {job.id} was asked to stop, or is run by somebody else now")

        return report

    def _succeeded(self, present: Job, result: Result) -> Job:
        ended = present.succeeded(self._clock(), self._rules.retention_s)
        return replace(ended, model=result.model or present.model)

    def _failed(self, present: Job, failure: Failure) -> Job:
        return present.failed(failure, self._clock(), self._rules.retention_s)

    def _lost(self, present: Job, failure: Failure) -> Job:
        return after_loss(present, failure, self._clock(), self._jitter(), self._rules.retention_s)

    def _stop(self, reservation: Reservation, job: Job, reason: StopReason | None, *, is_patient: bool = True) -> None:
        """Writes how a run ended that was asked to stop. For one that lost its lease there is nothing to write."""

        def move(present: Job) -> Job | None:
            if reason is StopReason.TIMEOUT:
                detail = f"the run took longer than {job.timeout_s:g} s and was ended"
                return self._failed(present, Failure("timeout", detail))
            if reason is StopReason.SHUTDOWN:
                return present.given_back(self._clock(), self._rules.retention_s)
            return None

        self._finish(reservation, job, move, is_patient=is_patient)

    def _finish(
        self,
        reservation: Reservation,
        job: Job,
        move: Callable[[Job], Job | None],
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

        ended = self._written(reservation, decide, result, is_patient=is_patient)
        if ended is None:
            log.info("result_dropped", job_id=job.id, attempt=job.attempt)
        else:
            code = ended.failure.code if ended.failure else None
            log.info("run_ended", job_id=job.id, state=ended.state, attempt=ended.attempt, code=code)

    def _give_up(self, holds: list[Hold]) -> None:
        """Called beside a run that does not stop by itself: writes for it how it ended, and ends the process."""
        for hold in holds:
            try:
                if hold.run is not None:
                    self._stop(hold.reservation, hold.run, hold.reason, is_patient=False)
                else:
                    self._hand_back(hold.reservation)
            except UnavailableError as error:  # the leases run out, and the reaper sees to the jobs
                log.warning("job_not_given_up", job_id=hold.reservation.job_id, reason=error.detail)
        log.warning("process_ended_to_stop_a_run", job_ids=[hold.reservation.job_id for hold in holds if hold.run])
        self._end_process()

    def _ring(self, lane: str) -> None:
        try:
            self._bells.ring(lane)
        except UnavailableError as error:  # the reaper rings for lanes that wait
            log.warning("bell_not_rung", lane=lane, reason=error.detail)

    def _written(
        self,
        reservation: Reservation,
        decide: Callable[[Job], Job | None],
        result: bytes | None = None,
        *,
        is_patient: bool = True,
    ) -> Job | None:
        """Reads, decides and writes, again until nobody wrote in between; None when there is nothing to write.

        is_patient: waits for a store that is away until the lease is lost; only then raises UnavailableError.
        """
        while True:
            # Looked at before: a write whose answer got lost takes the job out of its lane, and the lease with it.
            is_lost = self._leases.reason_to_stop(reservation) is StopReason.LOST
            try:
                moved = decide(self._jobs.read(reservation.job_id))
                if moved is not None:
                    kept = result if moved.state is State.SUCCEEDED else None
                    if self._jobs.replace(moved, kept, entry=reservation.entry):
                        self._ring(moved.lane)
            except StaleWriteError:
                continue
            except (UnknownJobError, JobStoppedError):
                return None
            except UnavailableError:
                if is_lost or not is_patient:
                    raise
                time.sleep(PATIENCE_PAUSE_S)
                continue
            return moved


def _is_running(present: Job, job: Job) -> bool:
    return present.is_run_by(job.attempt) and present.state is State.RUNNING


def _too_large(found: int, limit: int) -> QueuecastError:
    detail = f"the result has {found} bytes, expected at most {limit}; ask for fewer rows at a time"
    return QueuecastError(detail, code="result_too_large")
