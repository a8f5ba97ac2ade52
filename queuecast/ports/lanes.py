"""Where queued jobs wait, and which worker holds which of them."""

from dataclasses import dataclass, field
from typing import Protocol

from queuecast.domain.job import Job, State
from queuecast.domain.work import Work


@dataclass(frozen=True, slots=True)
class Reservation:
    """A job that one worker took from its lane. `entry` is new each time the job is queued."""

    lane: str
    entry: str
    job_id: str
    worker: str
    snapshot: tuple[Job, Work, bytes] | None = field(default=None, compare=False, repr=False)
    """The job, its work and its rows when it was taken; None when they were not read or could not be decoded."""


@dataclass(frozen=True, slots=True)
class LaneStats:
    """The counts of a lane. Times are by the store's clock."""

    lane: str
    waiting: int
    reserved: int
    oldest_at: float | None
    worker_expected_since: float | None
    """When the lane was last rung for, or its attending worker last reserved jobs; None when none is on its way."""


@dataclass(frozen=True, slots=True)
class LanePosition:
    """position: 1 for the job that is taken next, None for one that is not in the lane.

    taken: how many jobs the lane has lost so far. It starts at 0 again whenever the lane is empty.
    """

    position: int | None
    taken: int


class Lanes(Protocol):
    """Where jobs wait. A reserved job stays in the lane, in its worker's name, until it ends or is queued again.

    A worker attends a lane from a `reserve` with `stays` on until it detaches. While it does, jobs that enter the lane
    need no bell. Every call raises UnavailableError when the store is away.
    """

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_bell: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        """Reserves the oldest waiting jobs: at least one, and as many as have `rows` rows and `MAX_RESERVED_BYTES`.

        The second value tells whether the caller must ring for the jobs that are still waiting. clears_bell: the worker
        came because of a bell, which the lane then forgets. stays: the worker attends the lane. For a moment other
        workers get nothing from it, unless at least half of `rows` or of `MAX_RESERVED_BYTES` is waiting.
        """

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        """Blocks until a job enters the lane; False after the timeout, or when the worker does not attend the lane."""

    def detach(self, lane: str, worker: str) -> bool:
        """Ends the worker's attendance. True when jobs are waiting and the caller must ring for them."""

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        """Renews the leases and returns the state of each job; None for one that its worker no longer holds."""

    def requeue(self, reservation: Reservation) -> bool:
        """Moves a job that has not started to the end of its lane, if it is still held under this reservation.

        True when the caller must ring.
        """

    def reservations(self, silent_s: float = 0.0) -> list[Reservation]:
        """The reservations of all workers that were not renewed for at least `silent_s`."""

    def enqueue_due(self, now: float) -> list[str]:
        """Puts jobs whose delay is over into their lanes. Returns the lanes that the caller must ring for."""

    def record_ring(self, lane: str) -> None:
        """Records that the lane is rung for now, if it has a job."""

    def stats(self) -> list[LaneStats]:
        """Every lane with a job in it, by name."""

    def position(self, lane: str, job_id: str) -> LanePosition: ...

    def forget_workers(self, silent_s: float) -> None:
        """Removes workers that hold nothing and were silent for longer than `silent_s`."""
