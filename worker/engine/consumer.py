"""The use case of a worker: take jobs from a lane, run them, write their outcomes. Names no framework and no estimator.

Jobs that can share a call are claimed, run and written together, in a constant number of round trips. A job for which
one of these steps fails goes through that step again alone. A bell that is delivered twice or late does no harm: a job
that is not queued cannot be claimed, and a run that lost its job finds its writes refused.
"""

import time
from collections.abc import Callable, Mapping

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes, Reservation
from worker.engine.claims import Claims
from worker.engine.contracts import AfterCall, ClaimedJob, ModelCall, RunLimits, Runner, SharedRunner
from worker.engine.job_writer import JobWriter
from worker.engine.lane_visit import LaneVisit, Pace
from worker.engine.leases import Hold, Leases, StopReason
from worker.engine.outcomes import OutcomeRecorder
from worker.engine.shared_runs import SharedRuns
from worker.engine.single_runs import SingleRuns

log = get_logger()


class LaneConsumer:
    def __init__(
        self,
        jobs: JobStore,
        lanes: Lanes,
        doorbell: Doorbell,
        runners: Mapping[JobType, Runner],
        clock: Clock,
        jitter: Callable[[], float],
        worker: str,
        limits: RunLimits,
        stop_by: Callable[[], float],
        end_process: Callable[[], None],
        shared_runners: Mapping[JobType, SharedRunner] | None = None,
        after_call: AfterCall | None = None,
    ) -> None:
        """stop_by: see Leases. end_process: ends this process at once; does not return."""
        shared_runners = shared_runners or {}
        self._lanes = lanes
        self._doorbell = doorbell
        self._worker = worker
        self._end_process = end_process
        self._shared_types = frozenset(shared_runners)
        self._paces: dict[str, Pace] = {}
        self._leases = Leases(lanes, limits.lease_s, stop_by, self._give_up)
        self._writer = JobWriter(jobs, lanes, doorbell, self._leases)
        self._outcomes = OutcomeRecorder(self._writer, clock, jitter, limits)
        self._claims = Claims(jobs, self._writer, self._leases, clock, worker, limits)
        self._shared_runs = SharedRuns(self._claims, self._writer, self._outcomes, shared_runners, after_call)
        self._single_runs = SingleRuns(jobs, self._writer, self._outcomes, self._leases, clock, runners, shared_runners)

    def drain(self, lane: str, *, is_overtaking: bool = False) -> list[ModelCall]:
        """Runs the lane's jobs for a while; returns the calls. Raises UnavailableError when the store is away.

        is_overtaking: this call answers an overtaking message. The lane's ordinary one is still in the queue, and will
        serve the jobs that this call leaves.
        """
        if self._leases.is_shutting_down():
            if not is_overtaking:
                self._doorbell.ring(lane)  # for another worker
            return []
        pace = self._paces.get(lane, Pace())
        visit = LaneVisit(self._lanes, self._doorbell, self._worker, lane, pace, clears_bell=not is_overtaking)
        try:
            return self._run_claims(visit)
        finally:
            self._paces[lane] = visit.pace
            visit.end()

    def _run_claims(self, visit: LaneVisit) -> list[ModelCall]:
        calls: list[ModelCall] = []
        while reserved := visit.reserve():
            began = time.monotonic()
            made = self._run_claim(reserved, visit)
            visit.finish_claim(sum(call.rows for call in made), time.monotonic() - began)
            calls += made
            if not made or self._leases.is_shutting_down() or not visit.has_time_left():
                break
        return calls

    def _run_claim(self, reserved: list[Reservation], visit: LaneVisit) -> list[ModelCall]:
        self._leases.hold(reserved)
        calls: list[ModelCall] = []
        try:
            shared, single = self._split(reserved, visit.lane.type)
            if shared:
                calls.append(self._shared_runs.run(shared))
            for index, reservation in enumerate(single):
                is_first = index == 0 and not shared  # it runs however late the claim was, or the lane would starve
                if self._leases.is_shutting_down() or (not is_first and time.monotonic() >= visit.deadline):
                    self._writer.release(reservation)
                elif (job := self._claims.claim_or_skip(reservation)) is not None:
                    calls.append(self._single_runs.run(reservation, job))
                self._leases.release(reservation)
        finally:  # the reaper recovers the jobs that are still reserved after an outage
            for reservation in reserved:
                self._leases.release(reservation)
        return calls

    def _split(self, reserved: list[Reservation], job_type: JobType) -> tuple[list[ClaimedJob], list[Reservation]]:
        """The jobs that can share a call, as the reservation read them, and the ones that run alone."""
        if job_type not in self._shared_types or self._leases.is_shutting_down():
            return [], reserved
        shared, single = [], []
        for reservation in reserved:
            if reservation.snapshot is not None and reservation.snapshot[0].can_share_a_call:
                shared.append(ClaimedJob(reservation, *reservation.snapshot))
            else:
                single.append(reservation)
        return shared, single

    def _give_up(self, holds: list[Hold]) -> None:
        """Records the outcome of a run that does not stop by itself, releases the other jobs, and ends the process."""
        running = [hold for hold in holds if hold.run is not None]
        for hold in holds:
            try:
                if hold.run is None:
                    self._writer.release(hold.reservation)
                else:
                    reason = hold.reason or StopReason.NEIGHBOR
                    self._outcomes.record_stop(
                        hold.reservation, hold.run, reason, is_patient=False, is_shared=len(running) > 1
                    )
            except UnavailableError as error:  # the reaper recovers the job when its lease runs out
                log.warning("job_give_up_failed", job_id=hold.reservation.job_id, reason=error.detail)
        log.warning("process_ended_to_stop_a_run", job_ids=[hold.reservation.job_id for hold in running])
        self._end_process()
