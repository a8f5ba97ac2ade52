"""Jobs that came to each state by legal moves, for the tests of those moves."""

from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, State
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

LATER = NOW + 60
DELAY_S = 4.0
FAILURE = Failure("run_failed", "the estimator raised ValueError")
LOSS = Failure("worker_lost", "worker host:7 did not renew its lease for 30 s")


def job_in(state: State, max_attempts: int = 3) -> Job:
    queued = a_job(max_attempts=max_attempts).accepted()
    running = queued.claimed("host:7", NOW)
    return {
        State.QUEUED: queued,
        State.RUNNING: running,
        State.CANCELING: running.cancel_requested(NOW, RETENTION_S),
        State.CANCELED: queued.cancel_requested(NOW, RETENTION_S),
        State.EXPIRED: queued.expired(NOW, RETENTION_S),
        State.SUCCEEDED: running.succeeded(NOW, RETENTION_S),
        State.FAILED: running.failed(FAILURE, NOW, RETENTION_S),
    }[state]


def lost(job: Job) -> Job:
    return job.lost(LOSS, LATER, DELAY_S, RETENTION_S)


def lost_times(count: int, max_attempts: int) -> Job:
    """A job whose first `count` runs were lost, as it is then."""
    job = a_job(max_attempts=max_attempts).accepted()
    for _ in range(count):
        job = lost(job.claimed("host:7", NOW))
    return job
