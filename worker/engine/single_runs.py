"""Runs a claimed job alone, and records its outcome."""

from collections.abc import Mapping

from queuecast.domain.errors import JobStoppedError, UnavailableError, UnknownJobError
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.domain.work import rows_of
from queuecast.logs import get_logger
from queuecast.ports.clock import Clock
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Reservation
from worker.engine.contracts import ClaimedJob, FanOut, ModelCall, Report, Result, Runner, SharedRunner
from worker.engine.job_writer import JobWriter
from worker.engine.leases import Leases
from worker.engine.outcomes import Outcome, OutcomeRecorder

log = get_logger()


class SingleRuns:
    def __init__(
        self,
        jobs: JobStore,
        writer: JobWriter,
        outcomes: OutcomeRecorder,
        leases: Leases,
        clock: Clock,
        runners: Mapping[JobType, Runner],
        shared_runners: Mapping[JobType, SharedRunner],
    ) -> None:
        self._jobs = jobs
        self._writer = writer
        self._outcomes = outcomes
        self._leases = leases
        self._clock = clock
        self._runners = runners
        self._shared_runners = shared_runners

    def run(self, reservation: Reservation, job: Job) -> ModelCall:
        rows = 1
        try:
            claimed = ClaimedJob(reservation, job, *self._jobs.read_work(job.id))
            rows = rows_of(claimed.work)
            result = self._call(claimed)
        except (JobStoppedError, UnknownJobError):
            self._outcomes.record_stop(reservation, job, self._leases.reason_to_stop(reservation))
        except Exception as error:  # an estimator may raise any exception
            self._outcomes.record(self._outcomes.of(reservation, job, error))
        else:
            if isinstance(result, FanOut):
                self._fan_out(reservation, job, result)
            else:
                self._outcomes.record(self._outcomes.of(reservation, job, result))
        return ModelCall(1, rows)

    def _call(self, claimed: ClaimedJob) -> Result | FanOut | Exception:
        job = claimed.job
        shared = self._shared_runners.get(job.type)
        if shared is not None:
            return shared([claimed])[0]
        return self._runners[job.type](job, claimed.work, claimed.rows, self._reporter(claimed.reservation, job))

    def _fan_out(self, reservation: Reservation, job: Job, result: FanOut) -> None:
        def move(present: Job) -> Job:
            ignored = result.ignored_columns or present.ignored_columns
            return present.fanned_out(result.progress, self._clock()).changed(ignored_columns=ignored)

        self._outcomes.record(Outcome(reservation, job, move))
        self._leases.release(reservation)  # otherwise the next beat finds the lease gone and ends the process
        try:
            result.then()
        except UnavailableError as error:  # the reaper starts them
            log.warning("chunk_start_failed", job_id=job.id, reason=error.detail)

    def _reporter(self, reservation: Reservation, job: Job) -> Report:
        def report(progress: Progress) -> None:
            def decide(present: Job) -> Job | None:
                is_running = present.is_run_by(job.attempt) and present.state is State.RUNNING
                return present.progressed(progress) if is_running else None

            must_stop = self._leases.reason_to_stop(reservation) is not None
            if must_stop or self._writer.update(reservation, decide) is None:
                raise JobStoppedError(f"job {job.id} was asked to stop, or another worker runs it now")

        return report
