"""A worker's visit to a lane: it begins with a bell and ends when the worker detaches from the lane.

A bell costs a message through Celery, which takes longer than most predictions. So a worker whose claims are quick
attends the lane: the store knows that it will claim again in a moment, new jobs need no bell, and other workers leave
the lane alone unless at least half a claim is waiting. When such a worker finds the lane empty it waits for the next
job, which wakes it through Redis. This is the worker's side of the protocol; `queuecast.ports.lanes` is the store's.

                 bell                  quick claim                  empty
    +----------+      +--------------+ --------> +-----------------+ ----> +------------------+
    | detached | ---> | claims       |           | claims and      |       | waits for a job, |
    |          |      |              | <-------- | attends the lane| <---- | 20 ms at most    |
    +----------+      +--------------+ slow claim+-----------------+  job  +------------------+
         ^                   |                           |                          |
         |                   | empty, or time is up      | time is up               | no job came
         +-------------------+---------------------------+--------------------------+
           If jobs are left and no other worker attends the lane, the worker that detaches rings a bell for them.

A worker whose claims of the lane were quick at its last visit attends the lane from its first claim.

The time is up after a slice, or when a claim ran no job. While no other lane that the worker serves has waiting jobs, a
quick worker adds another slice, up to the longest stay.
"""

import time
from dataclasses import dataclass

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from queuecast.domain.lane import Lane
from queuecast.logs import get_logger
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.lanes import Lanes, Reservation

log = get_logger()


# The measurements behind these times are in docs/performance.md.
SLICE_S = 0.25
"""How long one bell keeps a worker with a lane while jobs wait in other lanes, so that no lane starves."""
LONGEST_STAY_S = 5.0
"""How long it stays while none wait there. With slices alone a job in a burst cost 375 us of CPU, not 290 us: each
handover costs a bell, and the next worker has nothing of the model in its caches."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The experience of a worker with a lane: how many rows to claim, and whether its claims are quick."""

    limit: int = 1
    is_quick: bool = False


class LaneVisit:
    def __init__(
        self,
        lanes: Lanes,
        doorbell: Doorbell,
        worker: str,
        name: str,
        pace: Pace,
        *,
        clears_bell: bool,
    ) -> None:
        """name: the lane's name.

        clears_bell: the visit answers the lane's only bell, so its first claim clears the note of it.
        """
        self._lanes = lanes
        self._doorbell = doorbell
        self._worker = worker
        self._name = name
        self.lane = Lane.of_name(name)
        self._clears_bell = clears_bell
        self._is_detached = False
        self._started_at = time.monotonic()
        self.pace = pace
        # Chunks are bulk: after each one a worker is free for the bell of a single prediction.
        self.deadline = self._started_at + (0.0 if self.lane.type is JobType.CHUNK else SLICE_S)

    def reserve(self) -> list[Reservation]:
        """The next jobs to run. Empty when the lane is empty and no job came; then the visit is over."""
        while True:
            reserved, must_ring = self._lanes.reserve(
                self._name,
                self._worker,
                self.pace.limit,
                clears_bell=self._clears_bell,
                stays=self.pace.is_quick,
            )
            if must_ring:
                self._doorbell.ring(self._name)
            if reserved:
                return reserved
            if not self.pace.is_quick:
                self._is_detached = True  # it found nothing and did not attend, so there is nothing to detach from
                return []
            if not self._job_came():
                return []

    def _job_came(self) -> bool:
        self._extend()
        left_s = self.deadline - time.monotonic()
        wait_s = 0.02  # the message of a bell takes longer
        return left_s > 0 and self._lanes.wait_for_job(self._name, self._worker, min(left_s, wait_s))

    def finish_claim(self, rows: int, took_s: float) -> None:
        """Learns from a claim that ran `rows` rows."""
        # A worker that finishes a claim this quickly can drain the lane alone: one large call is cheaper than two small
        # ones. It was 25 ms, which busy cores exceed: then two workers shared the lane in small claims.
        quick_s = 0.05
        is_quick = took_s < quick_s and self.lane.type is not JobType.CHUNK  # chunks are for all workers
        self.pace = Pace(self.lane.next_limit(self.pace.limit, rows, took_s), is_quick)
        self._clears_bell = False

    def has_time_left(self) -> bool:
        """Whether to claim again. A quick worker may get another slice."""
        if self.pace.is_quick:
            self._extend()
        return time.monotonic() < self.deadline

    def _extend(self) -> None:
        """Adds a slice when the last one is over, unless a job in another lane needs the worker."""
        now = time.monotonic()
        if now < self.deadline or now - self._started_at >= LONGEST_STAY_S or self._is_needed_elsewhere():
            return
        self.deadline = now + SLICE_S

    def _is_needed_elsewhere(self) -> bool:
        return any(
            stats.waiting and stats.lane != self._name and self._shares_workers_with(stats.lane)
            for stats in self._lanes.stats()
        )

    def _shares_workers_with(self, other: str) -> bool:
        try:
            return self.lane.shares_workers_with(Lane.of_name(other))
        except ValueError:  # only workers of a later version serve it; the reaper logs it
            return False

    def end(self) -> None:
        """Detaches from the lane, and rings for the jobs that are left."""
        if self._is_detached:
            return
        try:
            must_ring = self._lanes.detach(self._name, self._worker)
        except UnavailableError as error:  # the reaper rings for a lane with waiting jobs, attended or not
            log.warning("lane_release_failed", lane=self._name, reason=error.detail)
            return
        if must_ring:
            self._doorbell.ring(self._name)
