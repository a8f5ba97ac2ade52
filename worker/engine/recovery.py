"""Repairs jobs for the reaper: recovers those of silent workers, lets late ones expire, and rings for lanes that wait.

A worker uses it too, for the jobs of its own dead processes.

Each step is safe to repeat and to run in several processes: every write names the revision and lane entry it is for.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from queuecast.domain.errors import Failure, UnavailableError
from queuecast.domain.job import Job, State
from queuecast.domain.lane import is_bell_late, is_bell_lost
from queuecast.domain.lost_attempts import after_loss
from queuecast.job_updates import update_job
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes, LaneStats, Reservation

log = get_logger()


@dataclass(frozen=True, slots=True)
class RecoveryLimits:
    lease_s: float
    retention_s: float


class JobRecovery:
    def __init__(
        self,
        jobs: JobStore,
        lanes: Lanes,
        doorbell: Doorbell,
        messages_waiting: Callable[[str], Sequence[int]],
        clock: Clock,
        limits: RecoveryLimits,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """messages_waiting: how many bells are in a lane's queue: first the overtaking ones, then the other lists."""
        self._jobs = jobs
        self._lanes = lanes
        self._doorbell = doorbell
        self._messages_waiting = messages_waiting
        self._clock = clock
        self._limits = limits
        self._jitter = jitter

    def sweep(self) -> None:
        """One round of the reaper. Raises UnavailableError when the store is away."""
        for held in self._lanes.reservations(self._limits.lease_s):
            detail = f"worker {held.worker} did not renew its lease for {self._limits.lease_s:g} s"
            recover = partial(self.recover, held, Failure("worker_lost", detail))
            self._guard(recover, "job_repair_failed", job_id=held.job_id)
        for job_id in self._jobs.past_start_deadline(self._clock()):
            self._guard(partial(self._expire, job_id), "job_repair_failed", job_id=job_id)
        for lane in self._lanes.enqueue_due(self._clock()):
            self._guard(partial(self._doorbell.ring, lane), "lane_repair_failed", lane=lane)
        self._ring_again([stats for stats in self._lanes.stats() if stats.waiting])

    def _ring_again(self, waiting: list[LaneStats]) -> None:
        """Ring again for every lane whose message was lost.

        If a lane is only starved by higher priorities, send an overtaking message for one such lane at a time, oldest
        first; doing so for all of them would starve the urgent lanes instead.
        """
        for stats in sorted(waiting, key=lambda stats: stats.worker_expected_since or 0.0):
            self._guard(partial(self._ring_if_unanswered, stats), "lane_repair_failed", lane=stats.lane)

    def _ring_if_unanswered(self, stats: LaneStats) -> None:
        overtaking, *ordinary = self._messages_waiting(stats.lane)
        age_s = None if stats.worker_expected_since is None else self._clock() - stats.worker_expected_since
        is_lost = is_bell_lost(age_s, overtaking + sum(ordinary))
        if is_lost or (is_bell_late(age_s) and not overtaking):
            log.info("bell_rung_again", lane=stats.lane, waiting=stats.waiting, is_lost=is_lost)
            self._lanes.record_ring(stats.lane)
            self._doorbell.ring(stats.lane, is_overtaking=not is_lost)

    def _guard(self, repair: Callable[[], object], event: str, **subject: str) -> None:
        try:
            repair()
        except UnavailableError:
            raise
        except Exception:  # one bad record, or a lane of a later version, must not end every sweep
            log.exception(event, **subject)

    def recover(self, held: Reservation, failure: Failure | None) -> None:
        """Takes a job from a worker that is gone. failure: the known cause; None if the worker stopped in order."""

        def decide(present: Job) -> Job | None:
            if present.state not in (State.RUNNING, State.CANCELING):
                return None
            now = self._clock()
            if present.state is State.CANCELING:
                return present.stopped(now, self._limits.retention_s)
            if failure is None:
                return present.handed_back(now, self._limits.retention_s)
            if failure.code == "timeout" and not present.can_share_a_call:  # in a shared call another job may have hung
                return present.failed(failure, now, self._limits.retention_s)
            return after_loss(present, failure, now, self._jitter(), self._limits.retention_s)

        moved = update_job(self._jobs, self._doorbell, held.job_id, decide, entry=held.entry)
        if moved is None:  # the job was reserved and not started, or the entry is a stale one
            if self._lanes.requeue(held):
                self._doorbell.ring(held.lane)
            return
        log.warning("job_recovered", job_id=moved.id, state=moved.state, attempt=moved.attempt, worker=held.worker)

    def _expire(self, job_id: str) -> None:
        def decide(present: Job) -> Job | None:
            now = self._clock()
            return present.expired(now, self._limits.retention_s) if present.is_due_to_expire(now) else None

        if update_job(self._jobs, self._doorbell, job_id, decide) is not None:
            log.info("job_expired", job_id=job_id)
