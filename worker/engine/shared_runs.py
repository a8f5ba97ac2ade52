"""Runs jobs that share one model call, and writes their outcomes together."""

from collections.abc import Mapping

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import JobType
from queuecast.domain.work import rows_of
from queuecast.job_updates import result_of
from queuecast.logs import get_logger
from worker.engine.claims import Claims
from worker.engine.contracts import AfterCall, ClaimedJob, EndedJob, ModelCall, SharedRunner
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
        after_call: AfterCall | None = None,
    ) -> None:
        self._claims = claims
        self._writer = writer
        self._outcomes = outcomes
        self._runners = runners
        self._after_call = after_call

    def run(self, reserved: list[ClaimedJob]) -> ModelCall:
        claimed = self._claims.claim_many(reserved)
        if not claimed:
            return ModelCall(0, 0)
        run = self._runners[claimed[0].job.type]
        outcomes = self._outcomes.of_call(claimed, run)
        updates = [outcome.as_update() for outcome in outcomes]
        written = self._writer.update_many(updates)
        for outcome in outcomes:
            if outcome.reservation.entry not in written:  # another writer was first, or the reply was lost
                self._outcomes.record(outcome)
        self._notify(
            [
                EndedJob(update.job, each.work, each.rows, result_of(update.job, update.result))
                for each, update in zip(claimed, updates, strict=True)
                if update.reservation.entry in written
            ]
        )
        call = ModelCall(len(claimed), sum(rows_of(each.work) for each in claimed))
        log.info("call_ended", lane=claimed[0].reservation.lane, jobs=call.jobs, rows=call.rows)
        return call

    def _notify(self, ended: list[EndedJob]) -> None:
        """Calls `after_call`. The jobs have ended, so its failure must not reach them or their neighbors."""
        if self._after_call is None or not ended:
            return
        try:
            self._after_call(ended)
        except UnavailableError as error:
            log.warning("after_call_failed", reason=error.detail)
        except Exception:
            log.exception("after_call_crashed")
