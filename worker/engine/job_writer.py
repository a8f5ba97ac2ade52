"""How a worker writes the records of jobs it holds: one by one with patience, or many in a few round trips."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Job
from queuecast.job_updates import Decide, result_of, update_job
from queuecast.logs import get_logger
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore, Write
from queuecast.ports.lanes import Lanes, Reservation
from worker.engine.leases import Leases, StopReason

log = get_logger()


@dataclass(frozen=True, slots=True)
class Update:
    """The next revision of a reserved job. The result is stored if the job succeeded."""

    reservation: Reservation
    job: Job
    result: bytes | None = None


class JobWriter:
    def __init__(self, jobs: JobStore, lanes: Lanes, doorbell: Doorbell, leases: Leases) -> None:
        self._jobs = jobs
        self._lanes = lanes
        self._doorbell = doorbell
        self._leases = leases

    def update(
        self, reservation: Reservation, decide: Decide, result: bytes | None = None, *, is_patient: bool = True
    ) -> Job | None:
        """See `update_job`. is_patient: waits for a store that is away, and raises only when the lease is lost."""
        job_id, entry = reservation.job_id, reservation.entry
        while True:
            # Checked first: a write whose reply was lost takes the job out of its lane, and so ends the lease itself.
            is_lost = self._leases.reason_to_stop(reservation) is StopReason.LOST
            try:
                return update_job(self._jobs, self._doorbell, job_id, decide, entry=entry, result=result)
            except UnavailableError:
                if is_lost or not is_patient:
                    raise
                time.sleep(0.2)

    def update_many(self, updates: Sequence[Update]) -> set[str]:
        """Writes revisions that follow records as they were read. Returns the lane entries whose jobs were written.

        Other jobs may have been written all the same, if the reply was lost: `update` finds out.
        """
        writes = [Write(each.job, result_of(each.job, each.result), each.reservation.entry) for each in updates]
        try:
            rings = self._jobs.replace_all(writes)
        except UnavailableError as error:
            log.warning("write_replies_lost", count=len(updates), reason=error.detail)
            return set()
        replies = list(zip(updates, rings, strict=True))
        for lane in {each.job.lane for each, must_ring in replies if must_ring}:
            self._doorbell.ring(lane)
        return {each.reservation.entry for each, must_ring in replies if must_ring is not None}

    def release(self, reservation: Reservation) -> None:
        """Puts a job that was reserved and not started back into its lane, for another worker."""
        if self._lanes.requeue(reservation):
            self._doorbell.ring(reservation.lane)
