"""How a worker claims the jobs it reserved: it moves each to `running`, or to `expired` past its start deadline."""

from queuecast.domain.errors import UnavailableError, UnknownJobError
from queuecast.domain.job import Job, State
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Reservation
from worker.engine.contracts import ClaimedJob, RunLimits
from worker.engine.job_writer import JobWriter, Update
from worker.engine.leases import Leases

log = get_logger()


class Claims:
    def __init__(
        self, jobs: JobStore, writer: JobWriter, leases: Leases, clock: Clock, worker: str, limits: RunLimits
    ) -> None:
        self._jobs = jobs
        self._writer = writer
        self._leases = leases
        self._clock = clock
        self._worker = worker
        self._limits = limits

    def claim_many(self, reserved: list[ClaimedJob]) -> list[ClaimedJob]:
        """Claims jobs as they were read with their reservations, in one write. Returns the ones that are to run."""
        updates = {
            each.reservation.entry: Update(each.reservation, moved)
            for each in reserved
            if (moved := self._decide(each.job)) is not None
        }
        written = self._writer.update_many(list(updates.values()))
        claimed = []
        for each in reserved:
            entry = each.reservation.entry
            job = updates[entry].job if entry in written else self._claim(each.reservation)
            if job is None or job.state is not State.RUNNING:
                self._leases.release(each.reservation)
                continue
            self._leases.started(each.reservation, job)
            claimed.append(ClaimedJob(each.reservation, job, each.work, each.rows))
        return claimed

    def claim_or_skip(self, reservation: Reservation) -> Job | None:
        """Claims one job; None when it is not to run. Raises UnavailableError when the store is away."""
        try:
            return self._claim(reservation)
        except UnavailableError:
            raise
        except Exception:  # one unreadable record, of a later version say, must not block the rest of the claim
            log.exception("job_claim_failed", job_id=reservation.job_id)
            return None

    def _claim(self, reservation: Reservation) -> Job | None:
        def decide(present: Job) -> Job | None:
            if self._leases.reason_to_stop(reservation) is not None:
                return None  # an outage that just ended was longer than the lease
            return self._decide(present)

        job = self._writer.update(reservation, decide)
        if job is None:
            # The job ended, another worker runs it, or this worker did claim it and the reply was lost.
            job = self._claimed_before(reservation)
        if job is None:
            self._writer.release(reservation)
            log.info("delivery_ignored", job_id=reservation.job_id)
            return None
        if job.state is not State.RUNNING:
            log.info(f"job_{job.state}", job_id=job.id, type=job.type)
            return None
        waited_ms = round((self._clock() - (job.queued_at or job.created_at)) * 1000)
        log.info("job_running", job_id=job.id, type=job.type, attempt=job.attempt, waited_ms=waited_ms)
        self._leases.started(reservation, job)
        return job

    def _decide(self, present: Job) -> Job | None:
        now = self._clock()
        if present.is_due_to_expire(now):
            return present.expired(now, self._limits.retention_s)
        return present.claimed(self._worker, now) if present.state is State.QUEUED else None

    def _claimed_before(self, reservation: Reservation) -> Job | None:
        try:
            present = self._jobs.read(reservation.job_id)
        except UnknownJobError:
            return None
        is_ours = present.state is State.RUNNING and present.worker == self._worker
        return present if is_ours and self._leases.reason_to_stop(reservation) is None else None
