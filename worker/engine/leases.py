"""The leases of the jobs this process holds: renews them, asks runs to stop, and ends the process of a run that hangs.

Compiled code cannot be interrupted from Python. So a run has two seconds to stop after it was asked to; then its
process ends itself. A signal from another process could hit the next job instead.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Job, State
from queuecast.logs import get_logger
from queuecast.ports.lanes import Lanes, Reservation

log = get_logger()

STOP_WAIT_S = 2.0


class StopReason(StrEnum):
    """Why a run must end before it is done."""

    CANCELED = "canceled"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    LOST = "lost"
    NEIGHBOR = "neighbor"
    """Another run in the same process must stop, and the process ends with it."""


@dataclass(slots=True)
class Hold:
    """One reservation; `run` is the job while it runs. Times are monotonic."""

    reservation: Reservation
    run: Job | None = None
    ends_at: float = math.inf
    reason: StopReason | None = None
    asked_at: float = math.inf


class Leases:
    """Renews the leases in a thread of its own while the process holds a job."""

    def __init__(
        self,
        lanes: Lanes,
        lease_s: float,
        stop_by: Callable[[], float],
        give_up: Callable[[list[Hold]], None],
    ) -> None:
        """stop_by: when a worker that shuts down must have handed back its jobs; `inf` until it shuts down.

        give_up: records the outcome of the runs that have a reason to stop, releases the other jobs, and ends the
        process.
        """
        self._lanes = lanes
        self._lease_s = lease_s
        self._stop_by = stop_by
        self._give_up = give_up
        self._lock = threading.Lock()
        self._ending = threading.Lock()  # held from the check that finds a hanging run until the process has ended
        self._holds: dict[str, Hold] = {}
        self._has_holds = threading.Event()
        self._renewed_at = 0.0
        self._thread: threading.Thread | None = None

    def hold(self, reservations: list[Reservation]) -> None:
        """Call it right after the reservation. It does not return in a process that is ending itself.

        The hanging run may have finished a moment ago; the jobs reserved after it must not end with it.
        """
        if not reservations:
            return
        with self._ending, self._lock:
            if self._thread is None:  # started by the first hold, so always after the fork
                thread = threading.Thread(target=self._keep_beating, name="leases", daemon=True)
                thread.start()
                self._thread = thread
            if not self._holds:
                self._renewed_at = time.monotonic()
            self._holds |= {reservation.entry: Hold(reservation) for reservation in reservations}
            self._has_holds.set()

    def started(self, reservation: Reservation, run: Job) -> None:
        with self._lock:
            hold = self._holds[reservation.entry]
            hold.run, hold.ends_at = run, time.monotonic() + run.timeout_s

    def release(self, reservation: Reservation) -> None:
        with self._lock:
            self._holds.pop(reservation.entry, None)
            if not self._holds:
                self._has_holds.clear()

    def reason_to_stop(self, reservation: Reservation) -> StopReason | None:
        with self._lock:
            hold = self._holds.get(reservation.entry)
            return StopReason.LOST if hold is None else hold.reason

    def is_shutting_down(self) -> bool:
        return self._stop_by() < math.inf

    def _keep_beating(self) -> None:
        while True:
            self._has_holds.wait()
            self.beat()
            time.sleep(min(1.0, self._lease_s / 4))

    def beat(self) -> None:
        """Renews the leases once, and ends the process if a run was asked to stop too long ago."""
        with self._lock:
            holds = list(self._holds.values())
        began = time.monotonic()
        try:
            states = self._lanes.renew([hold.reservation for hold in holds])
        except UnavailableError as error:
            log.warning("lease_renewal_failed", count=len(holds), reason=error.detail)
            is_over = began - self._renewed_at > self._lease_s
            states = [None if is_over else State.RUNNING] * len(holds)
        else:
            self._renewed_at = began
        now = time.monotonic()
        with self._ending:
            with self._lock:
                for hold, state in zip(holds, states, strict=True):
                    reason = hold.reason or self._reason(hold, state, now)
                    if reason is not None and hold.reason is None:
                        hold.reason, hold.asked_at = reason, now
                        log.info("run_asked_to_stop", job_id=hold.reservation.job_id, reason=reason)
                present = list(self._holds.values())
            if any(hold.run is not None and now - hold.asked_at > STOP_WAIT_S for hold in present):
                self._give_up(present)

    def _reason(self, hold: Hold, state: State | None, now: float) -> StopReason | None:
        if state is None:
            return StopReason.LOST
        if state is State.CANCELING:
            return StopReason.CANCELED
        if now >= hold.ends_at:
            return StopReason.TIMEOUT
        if now >= self._stop_by():
            return StopReason.SHUTDOWN
        return None
