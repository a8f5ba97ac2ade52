"""The use case of a worker: take jobs from a lane, run them, write how they ended. Names no framework and no estimator.

Jobs that can share a call are run in one: claimed together, answered together, written together, in a constant number
of round trips. What does not go through for one of them is done again for it alone. Whatever is delivered twice or too
late is harmless here: a job that is not queued is not claimed, and a run that lost its job finds its writes refused.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from queuecast.domain.errors import JobStoppedError, UnavailableError, UnknownJobError
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.work import rows_of
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes, Reservation
from worker.engine.contracts import ClaimedJob, FanOut, ModelCall, Report, Result, RunLimits, Runner, SharedRunner
from worker.engine.job_writer import JobWriter
from worker.engine.leases import Hold, Leases, StopReason
from worker.engine.outcomes import OutcomeRecorder

log = get_logger()

SLICE_S = 0.25  # how long one message keeps a worker with one lane, so that no lane starves the others
STAY_S = 5.0  # and how long while no other lane waits: to hand over costs a bell, and caches that know the model
# Whoever is back so soon needs no help: one worker's larger calls cost less than two workers' small ones, and a bell
# costs more than it saves. When more waits than one claim takes, others are rung for all the same.
QUICK_CLAIM_S = 0.05
# It stays for the next job for so long: through Celery that would be on its way for longer than it takes to answer.
LINGER_S = 0.02


class LaneConsumer:
    def __init__(
        self,
        jobs: JobStore,
        lanes: Lanes,
        bells: Doorbell,
        runners: Mapping[JobType, Runner],
        clock: Clock,
        jitter: Callable[[], float],
        worker: str,
        rules: RunLimits,
        stop_by: Callable[[], float],
        end_process: Callable[[], None],
        shared_runners: Mapping[JobType, SharedRunner] | None = None,
    ) -> None:
        """stop_by: see Leases. end_process: ends this process at once; does not return."""
        self._jobs = jobs
        self._lanes = lanes
        self._bells = bells
        self._runners = runners
        self._shared_runners = shared_runners or {}
        self._clock = clock
        self._worker = worker
        self._rules = rules
        self._end_process = end_process
        self._limits: dict[str, int] = {}
        self._quick_lanes: set[str] = set()
        self._leases = Leases(lanes, rules.lease_s, stop_by, self._give_up)
        self._writes = JobWriter(jobs, lanes, bells, self._leases)
        self._endings = OutcomeRecorder(self._writes, clock, jitter, rules)

    def answer(self, lane: str, *, is_second: bool = False) -> list[ModelCall]:
        """Runs what waits in the lane, for a while. Raises UnavailableError when the store is away.

        is_second: the bell was rung beside one that still waits, and stands for what this answer leaves.
        """
        if self._leases.is_shutting_down():
            if not is_second:
                self._bells.ring(lane)  # for somebody else
            return []
        calls: list[ModelCall] = []
        is_empty = False
        try:
            is_empty = self._answer(lane, calls, clears_notification=not is_second)
        finally:
            if not is_empty and self._leave(lane):
                self._bells.ring(lane)
        return calls

    def _answer(self, lane: str, calls: list[ModelCall], *, clears_notification: bool) -> bool:
        """Whether it found the lane empty at last. calls: what was answered is added."""
        # After a chunk the next message may be for somebody who waits for one row.
        came_at = time.monotonic()
        ends_at = came_at + (0 if Lane.parse(lane).type is JobType.CHUNK else SLICE_S)
        while True:
            limit, attends = self._limits.get(lane, 1), lane in self._quick_lanes
            reserved, must_ring = self._lanes.reserve(
                lane, self._worker, limit, clears_notification=clears_notification, stays=attends
            )
            if must_ring:
                self._bells.ring(lane)
            if not reserved:
                if not attends:
                    return True
                ends_at = self._end_of_stay(lane, came_at, ends_at)
                left_s = ends_at - time.monotonic()
                if left_s > 0 and self._lanes.wait_for_job(lane, self._worker, min(left_s, LINGER_S)):
                    continue
                return False
            began = time.monotonic()
            found = self._take_all(reserved, ends_at)
            took_s = time.monotonic() - began
            calls += found
            self._limits[lane] = Lane.parse(lane).next_limit(limit, sum(call.rows for call in found), took_s)
            is_quick = (
                took_s < QUICK_CLAIM_S and Lane.parse(lane).type is not JobType.CHUNK
            )  # chunks are for all workers
            (self._quick_lanes.add if is_quick else self._quick_lanes.discard)(lane)
            clears_notification = False
            if not found or self._leases.is_shutting_down():
                return False
            if is_quick:
                ends_at = self._end_of_stay(lane, came_at, ends_at)
            if time.monotonic() >= ends_at:
                return False

    def _end_of_stay(self, lane: str, came_at: float, ends_at: float) -> float:
        """A slice later, as long as nobody else wants the worker."""
        now = time.monotonic()
        if now < ends_at or now - came_at >= STAY_S:
            return ends_at
        others = (
            stats
            for stats in self._lanes.stats()
            if stats.lane != lane and Lane.parse(stats.lane).shares_workers_with(Lane.parse(lane))
        )
        if any(stats.waiting for stats in others):
            return ends_at
        return now + SLICE_S

    def _leave(self, lane: str) -> bool:
        try:
            return self._lanes.detach(lane, self._worker)
        except UnavailableError as error:  # the reaper rings for a lane that waits, whoever is said to attend it
            log.warning("lane_not_left", lane=lane, reason=error.detail)
            return False

    def _take_all(self, reserved: list[Reservation], ends_at: float) -> list[ModelCall]:
        self._leases.hold(reserved)
        calls = []
        try:
            shared, single = self._sorted(reserved)
            if shared:
                calls.append(self._run_together(shared))
            for index, each in enumerate(single):
                is_late = (index > 0 or shared) and time.monotonic() >= ends_at
                if is_late or self._leases.is_shutting_down():
                    self._writes.hand_back(each)
                elif (job := self._claimed_alone(each)) is not None:
                    calls.append(self._run(each, job))
                self._leases.release(each)
        finally:  # what is left when the store went away is given back by the reaper
            for each in reserved:
                self._leases.release(each)
        return calls

    def _sorted(self, reserved: list[Reservation]) -> tuple[list[tuple[Reservation, ClaimedJob]], list[Reservation]]:
        """Those that share a call, as they were a moment ago, and those that are run one by one."""
        if Lane.parse(reserved[0].lane).type not in self._shared_runners or self._leases.is_shutting_down():
            return [], reserved
        shared = [
            (each, ClaimedJob(*each.snapshot)) for each in reserved if each.snapshot and each.snapshot[0].is_batchable
        ]
        taken = {each.entry for each, _ in shared}
        return shared, [each for each in reserved if each.entry not in taken]

    # One call for many

    def _run_together(self, shared: list[tuple[Reservation, ClaimedJob]]) -> ModelCall:
        claimed = self._claimed_together(shared)
        if not claimed:
            return ModelCall(0, 0)
        orders = [order for _, order in claimed]
        kind = orders[0].job.type
        endings = self._endings.of_all(orders, lambda: self._shared_runners[kind](orders))
        moved = [
            (each, ending.move(order.job), ending.result)
            for (each, order), ending in zip(claimed, endings, strict=True)
        ]
        written = self._writes.together(moved)
        for (each, order), ending, is_written in zip(claimed, endings, written, strict=True):
            if not is_written:  # somebody wrote meanwhile, or the answer was lost
                self._endings.finish(each, order.job, ending.move, ending.result)
        call = ModelCall(len(claimed), sum(rows_of(order.work) for order in orders))
        log.info("call_ended", lane=claimed[0][0].lane, jobs=call.jobs, rows=call.rows)
        return call

    def _claimed_together(self, shared: list[tuple[Reservation, ClaimedJob]]) -> list[tuple[Reservation, ClaimedJob]]:
        moved = [(each, self._claim_of(order.job)) for each, order in shared]
        wanted = [(each, job, None) for each, job in moved if job is not None]
        written = dict(zip((each.entry for each, _, _ in wanted), self._writes.together(wanted), strict=True))
        claimed = []
        for (each, order), (_, move) in zip(shared, moved, strict=True):
            job = move if written.get(each.entry) else self._claim(each)
            if job is None or job.state is not State.RUNNING:
                self._leases.release(each)
                continue
            self._leases.started(each, job)
            claimed.append((each, replace(order, job=job)))
        return claimed

    # One by one

    def _claimed_alone(self, reservation: Reservation) -> Job | None:
        try:
            return self._claim(reservation)
        except UnavailableError:
            raise
        except Exception:  # a record that cannot be read, of a later version say, must not hold up its neighbors
            log.exception("job_not_claimed", job_id=reservation.job_id)
            return None

    def _claim(self, reservation: Reservation) -> Job | None:
        def decide(present: Job) -> Job | None:
            if self._leases.reason_to_stop(reservation) is not None:
                return None  # the store was away until just now, for longer than the lease
            return self._claim_of(present)

        job = self._writes.one(reservation, decide)
        if job is None:
            # Not there to be run: ended, run by somebody else, or claimed by us and the answer was lost on the way.
            job = self._ours(reservation)
        if job is None:
            self._writes.hand_back(reservation)
            log.info("delivery_ignored", job_id=reservation.job_id)
            return None
        if job.state is not State.RUNNING:
            log.info(f"job_{job.state}", job_id=job.id, type=job.type)
            return None
        waited_ms = round((self._clock() - (job.queued_at or job.created_at)) * 1000)
        log.info("job_running", job_id=job.id, type=job.type, attempt=job.attempt, waited_ms=waited_ms)
        self._leases.started(reservation, job)
        return job

    def _claim_of(self, present: Job) -> Job | None:
        now = self._clock()
        if present.is_due_to_expire(now):
            return present.expired(now, self._rules.retention_s)
        return present.claimed(self._worker, now) if present.state is State.QUEUED else None

    def _ours(self, reservation: Reservation) -> Job | None:
        try:
            present = self._jobs.read(reservation.job_id)
        except UnknownJobError:
            return None
        is_ours = present.state is State.RUNNING and present.worker == self._worker
        return present if is_ours and self._leases.reason_to_stop(reservation) is None else None

    def _run(self, reservation: Reservation, job: Job) -> ModelCall:
        rows = 1
        found: Result | FanOut | Exception
        try:
            order = ClaimedJob(job, *self._jobs.read_work(job.id))
            rows = rows_of(order.work)
            found = self._found(reservation, order)
        except (JobStoppedError, UnknownJobError):
            self._endings.stop(reservation, job, self._leases.reason_to_stop(reservation))
            return ModelCall(1, rows)
        except Exception as error:  # an estimator raises what it likes
            found = error
        if isinstance(found, FanOut):
            self._fan_out(reservation, job, found)
            return ModelCall(1, rows)
        ending = self._endings.of(job, found)
        self._endings.finish(reservation, job, ending.move, ending.result)
        return ModelCall(1, rows)

    def _found(self, reservation: Reservation, order: ClaimedJob) -> Result | FanOut | Exception:
        shared = self._shared_runners.get(order.job.type)
        if shared is not None:
            return shared([order])[0]
        report = self._reporter(reservation, order.job)
        return self._runners[order.job.type](order.job, order.work, order.rows, report)

    def _fan_out(self, reservation: Reservation, job: Job, result: FanOut) -> None:
        self._endings.finish(reservation, job, lambda present: present.fanned_out(result.progress, self._clock()))
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
            if must_stop or self._writes.one(reservation, decide) is None:
                raise JobStoppedError(f"job {job.id} was asked to stop, or another worker runs it now")

        return report

    def _give_up(self, holds: list[Hold]) -> None:
        """Called beside a run that does not stop by itself: writes for it how it ended, and ends the process."""
        running = [hold for hold in holds if hold.run is not None]
        for hold in holds:
            try:
                if hold.run is not None:
                    reason, in_company = hold.reason or StopReason.NEIGHBOR, len(running) > 1
                    self._endings.stop(hold.reservation, hold.run, reason, is_patient=False, in_company=in_company)
                else:
                    self._writes.hand_back(hold.reservation)
            except UnavailableError as error:  # the leases run out, and the reaper sees to the jobs
                log.warning("job_not_given_up", job_id=hold.reservation.job_id, reason=error.detail)
        log.warning("process_ended_to_stop_a_run", job_ids=[hold.reservation.job_id for hold in running])
        self._end_process()


def _is_running(present: Job, job: Job) -> bool:
    return present.is_run_by(job.attempt) and present.state is State.RUNNING
