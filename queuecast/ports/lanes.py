"""Where queued jobs wait, and which worker holds which of them."""

from dataclasses import dataclass, field
from typing import Protocol

from queuecast.domain.job import Job, State
from queuecast.domain.work import Work


@dataclass(frozen=True, slots=True)
class Reservation:
    """A job that was taken from its lane by one worker. `entry` is new each time that the job is queued."""

    lane: str
    entry: str
    job_id: str
    worker: str
    snapshot: tuple[Job, Work, bytes] | None = field(default=None, compare=False, repr=False)
    """The job with its work and rows, as it was when it was taken; None when it was not read, or has none."""


@dataclass(frozen=True, slots=True)
class LaneStats:
    """How a lane stands. Times are the store's."""

    lane: str
    waiting: int
    reserved: int
    oldest_at: float | None
    bell_at: float | None
    """When it was last rung for, or when the worker that attends it last claimed; None when nobody is on the way."""


@dataclass(frozen=True, slots=True)
class LanePosition:
    """Where a job stands in its lane: position 1 is taken next or just now, None is not in it. taken: from it so far.

    `taken` counts on while the lane has jobs; it starts at 0 again when it was empty.
    """

    position: int | None
    taken: int


class Lanes(Protocol):
    """Where jobs wait. What a worker reserved stays on the list of what it holds until the job leaves the lane.

    Every call raises UnavailableError when the store is away.
    """

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_notification: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        """The oldest jobs that wait, and whether more are left that a bell must be rung for.

        As many as have `rows` rows and `MAX_BYTES_PER_CLAIM` together, and one at least. attends: the worker is back in
        a moment, so no bell is needed for jobs that come meanwhile; until it leaves, or does not say so again. Others
        find nothing there for a moment, unless half of the rows or bytes waits that they may take, or more.
        """

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        """Waits for the next job of a lane that the worker attends; False when none came, or another attends it."""

    def detach(self, lane: str, worker: str) -> bool:
        """The worker attends the lane no longer; True when jobs wait, nobody else attends, and a bell must be rung."""

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        """Keeps the leases and says how each job stands; None for one that this worker holds no longer."""

    def requeue(self, reservation: Reservation) -> bool:
        """To the end of the lane, if it is held as reserved; True when a bell must be rung."""

    def reservations(self, silent_s: float = 0.0) -> list[Reservation]:
        """What is held by any worker and was not renewed for so long."""

    def enqueue_due(self, now: float) -> list[str]:
        """Puts the jobs whose delay is over into their lanes; names the lanes that a bell must be rung for."""

    def record_ring(self, lane: str) -> None:
        """Notes that a bell is rung now, if the lane has a job in it."""

    def stats(self) -> list[LaneStats]:
        """Every lane with a job in it."""

    def position(self, lane: str, job_id: str) -> LanePosition: ...

    def forget_workers(self, silent_s: float = 3600.0) -> None:
        """Forgets workers that hold nothing and were not heard of for so long."""
