"""The use case of the reaper: gives back what silent workers held, lets jobs expire, rings for lanes that wait.

Everything here is safe to do twice and beside others: each write names the revision and the lane entry that it means.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure, Job, State
from queuecast.domain.lane import is_bell_late, is_bell_lost
from queuecast.domain.retry import after_loss
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
        bells: Doorbell,
        messages_waiting: Callable[[str], Sequence[int]],
        clock: Clock,
        rules: RecoveryLimits,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """messages_waiting: how many bells wait in the queue of a lane: those that none passes, and all others."""
        self._jobs = jobs
        self._lanes = lanes
        self._bells = bells
        self._messages_waiting = messages_waiting
        self._clock = clock
        self._rules = rules
        self._jitter = jitter

    def sweep(self) -> None:
        """One round of the reaper. Raises UnavailableError when the store is away."""
        for silent in self._lanes.reservations(self._rules.lease_s):
            detail = f"worker {silent.worker} was not heard of for {self._rules.lease_s:g} s"
            self._repair(silent.job_id, self.recover, silent, Failure("worker_lost", detail))
        for job_id in self._jobs.overdue(self._clock()):
            self._repair(job_id, self._expire, job_id)
        for lane in self._lanes.enqueue_due(self._clock()):
            self._bells.ring(lane)
        self._ring_again([depth for depth in self._lanes.stats() if depth.waiting])

    def _ring_again(self, waiting: list[LaneStats]) -> None:
        """For lanes whose bell is lost. Of those whose bell others keep passing, for one after the other, the oldest
        first, with a bell that none passes: were they many, they would keep the urgent ones from their turn."""
        for depth in sorted(waiting, key=lambda depth: depth.bell_at or 0.0):
            overdue, *others = self._messages_waiting(depth.lane)
            age_s = None if depth.bell_at is None else self._clock() - depth.bell_at
            is_lost = is_bell_lost(age_s, overdue + sum(others))
            if is_lost or (is_bell_late(age_s) and not overdue):
                log.info("bell_rung_again", lane=depth.lane, waiting=depth.waiting, is_lost=is_lost)
                self._lanes.record_ring(depth.lane)
                self._bells.ring(depth.lane, is_urgent=not is_lost)

    def _repair(self, job_id: str, repair: Callable[..., None], *args: Any) -> None:
        try:
            repair(*args)
        except UnavailableError:
            raise
        except Exception:  # one bad record must not keep all others from being repaired, sweep after sweep
            log.exception("job_not_repaired", job_id=job_id)

    def recover(self, held: Reservation, failure: Failure | None) -> None:
        """Takes a job from a worker that is gone. failure: what is known; None when it stopped and lost nothing."""

        def decide(present: Job) -> Job | None:
            if present.state not in (State.RUNNING, State.CANCELING):
                return None
            now = self._clock()
            if present.state is State.CANCELING:
                return present.stopped(now, self._rules.retention_s)
            if failure is None:
                return present.handed_back(now, self._rules.retention_s)
            if failure.code == "timeout" and not present.is_batchable:  # or it may be a neighbor's doing
                return present.failed(failure, now, self._rules.retention_s)
            return after_loss(present, failure, now, self._jitter(), self._rules.retention_s)

        moved = self._written(held.job_id, decide, held.entry)
        if moved is None:  # it was reserved and not started, or its entry is left from another time
            if self._lanes.requeue(held):
                self._bells.ring(held.lane)
            return
        log.warning("job_recovered", job_id=moved.id, state=moved.state, attempt=moved.attempt, worker=held.worker)

    def _expire(self, job_id: str) -> None:
        def decide(present: Job) -> Job | None:
            now = self._clock()
            return present.expired(now, self._rules.retention_s) if present.is_due_to_expire(now) else None

        if self._written(job_id, decide) is not None:
            log.info("job_expired", job_id=job_id)

    def _written(self, job_id: str, decide: Callable[[Job], Job | None], entry: str | None = None) -> Job | None:
        return update_job(self._jobs, self._bells, job_id, decide, entry=entry)
