"""How a worker writes job records: what it decided on, where nobody wrote in between, as long as it holds the job."""

import time
from collections.abc import Callable, Sequence

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Job
from queuecast.job_updates import result_of, update_job
from queuecast.logs import get_logger
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore, Write
from queuecast.ports.lanes import Lanes, Reservation
from worker.engine.leases import Leases, StopReason

log = get_logger()

PATIENCE_PAUSE_S = 0.2

Move = Callable[[Job], Job | None]
"""A job as it is -> its next revision, or None when there is nothing to write."""


class JobWriter:
    def __init__(self, jobs: JobStore, lanes: Lanes, bells: Doorbell, leases: Leases) -> None:
        self._jobs = jobs
        self._lanes = lanes
        self._bells = bells
        self._leases = leases

    def one(
        self, reservation: Reservation, move: Move, result: bytes | None = None, *, is_patient: bool = True
    ) -> Job | None:
        """Reads, decides and writes, again until nobody wrote in between; None when there was nothing to write.

        is_patient: waits for a store that is away until the lease is lost; only then raises UnavailableError.
        """
        while True:
            # Looked at before: a write whose answer got lost takes the job out of its lane, and the lease with it.
            is_lost = self._leases.reason_to_stop(reservation) is StopReason.LOST
            try:
                return update_job(
                    self._jobs, self._bells, reservation.job_id, move, entry=reservation.entry, result=result
                )
            except UnavailableError:
                if is_lost or not is_patient:
                    raise
                time.sleep(PATIENCE_PAUSE_S)

    def together(self, moved: Sequence[tuple[Reservation, Job, bytes | None]]) -> list[bool]:
        """Writes what was decided on records as they were read, all in a few round trips; says which went through.

        The others may be there all the same, when the answer was lost: `one` finds out.
        """
        try:
            rings = self._jobs.replace_all(
                [Write(job, result_of(job, result), each.entry) for each, job, result in moved]
            )
        except UnavailableError as error:
            log.warning("writes_unanswered", count=len(moved), reason=error.detail)
            return [False] * len(moved)
        for lane in {job.lane for (_, job, _), ring in zip(moved, rings, strict=True) if ring}:
            self._bells.ring(lane)
        return [ring is not None for ring in rings]

    def hand_back(self, reservation: Reservation) -> None:
        """What was reserved and not started, to others."""
        if self._lanes.requeue(reservation):
            self._bells.ring(reservation.lane)
