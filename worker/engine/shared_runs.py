"""Runs jobs that share one model call, and writes their outcomes together."""

from collections.abc import Mapping

from queuecast.domain.job import JobType
from queuecast.domain.work import rows_of
from queuecast.logs import get_logger
from worker.engine.claims import Claims
from worker.engine.contracts import ClaimedJob, ModelCall, SharedRunner
from worker.engine.job_writer import JobWriter
from worker.engine.outcomes import OutcomeRecorder

log = get_logger()


class SharedRuns:
    def __init__(
        self,
        claims: Claims,
        writer: JobWriter,
        outcomes: OutcomeRecorder,
        runners: Mapping[JobType, SharedRunner],
    ) -> None:
        self._claims = claims
        self._writer = writer
        self._outcomes = outcomes
        self._runners = runners

    def run(self, reserved: list[ClaimedJob]) -> ModelCall:
        claimed = self._claims.claim_many(reserved)
        if not claimed:
            return ModelCall(0, 0)
        run = self._runners[claimed[0].job.type]
        outcomes = self._outcomes.of_call(claimed, run)
        written = self._writer.update_many([outcome.as_update() for outcome in outcomes])
        for outcome in outcomes:
            if outcome.reservation.entry not in written:  # another writer was first, or the reply was lost
                self._outcomes.record(outcome)
        call = ModelCall(len(claimed), sum(rows_of(each.work) for each in claimed))
        log.info("call_ended", lane=claimed[0].reservation.lane, jobs=call.jobs, rows=call.rows)
        return call
