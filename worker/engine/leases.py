"""What this process holds: keeps the leases alive, hears who must stop, and ends a run that does not stop by itself.

Compiled code cannot be interrupted from Python. So a run that was asked to stop has two seconds to notice; then its
process ends itself, which hits the right one by construction: a signal from outside may hit the next job.
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
BEAT_S = 1.0


class StopReason(StrEnum):
    """Why a run must end before it is done."""

    CANCELED = "canceled"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    LOST = "lost"
    NEIGHBOR = "neighbor"
    """Another run of the same process must, and takes the process with it."""


@dataclass(slots=True)
class Hold:
    """One reservation; `run` is the job while it runs. Times are of the monotonic clock."""

    reservation: Reservation
    run: Job | None = None
    ends_at: float = math.inf
    reason: StopReason | None = None
    asked_at: float = math.inf


class Leases:
    """Beats in a thread of its own as long as something is held; safe to share with it."""

    def __init__(
        self,
        lanes: Lanes,
        lease_s: float,
        stop_by: Callable[[], float],
        give_up: Callable[[list[Hold]], None],
    ) -> None:
        """stop_by: when a worker that shuts down must have given back what it runs, `inf` while it does not.

        give_up: writes how the runs ended whose hold has a reason, gives back the others, and ends the process.
        """
        self._lanes = lanes
        self._lease_s = lease_s
        self._stop_by = stop_by
        self._give_up = give_up
        self._lock = threading.Lock()
        self._ending = threading.Lock()  # held from the look that finds a run that does not stop to the process's end
        self._holds: dict[str, Hold] = {}
        self._has_holds = threading.Event()
        self._renewed_at = 0.0
        self._thread: threading.Thread | None = None

    def hold(self, reservations: list[Reservation]) -> None:
        """Call it right after the reservation. In a process that ends itself it does not return.

        The run that would not stop may have ended just now; what is taken after it has no part in it.
        """
        if not reservations:
            return
        with self._ending, self._lock:
            if self._thread is None:  # started by the first hold, so always after the fork
                thread = threading.Thread(target=self._beat_for_ever, name="leases", daemon=True)
                thread.start()
                self._thread = thread
            if not self._holds:
                self._renewed_at = time.monotonic()
            self._holds |= {each.entry: Hold(each) for each in reservations}
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

    def _beat_for_ever(self) -> None:
        while True:
            self._has_holds.wait()
            self.beat()
            time.sleep(min(BEAT_S, self._lease_s / 4))

    def beat(self) -> None:
        """Renews once, and ends the process when a run was asked to stop too long ago."""
        with self._lock:
            holds = list(self._holds.values())
        began = time.monotonic()
        try:
            states = self._lanes.renew([hold.reservation for hold in holds])
        except UnavailableError as error:
            log.warning("leases_not_renewed", count=len(holds), reason=error.detail)
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
