"""Which errors are worth another attempt, and how long to wait before it."""

from queuecast.domain.errors import Failure, QueuecastError, UnavailableError
from queuecast.domain.job import Job

RETENTION_OF_DEAD_LETTERS = 7  # times the normal retention, because an operator has to inspect them first


def backoff_s(lost_attempts: int, jitter: float) -> float:
    """Seconds to wait after the `lost_attempts`-th loss (1, 2, ...). jitter: random, 0 <= jitter < 1.

    "Full jitter": uniform between 0 and 1, 2, 4 ... s, at most 60 s, so that the jobs of one dead worker do not return
    all at once (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """
    doublings = min(max(lost_attempts - 1, 0), 16)  # 2**16 s is far beyond the cap
    return min(60.0, 2.0**doublings) * jitter


def after_loss(job: Job, failure: Failure, now: float, jitter: float, retention_s: float) -> Job:
    """`Job.lost` with the delay and the retention of dead letters that this module decides."""
    delay_s = backoff_s(job.lost_attempts + 1, jitter)
    return job.lost(failure, now, delay_s, retention_s * RETENTION_OF_DEAD_LETTERS)


def is_transient(error: QueuecastError) -> bool:
    """Whether the same work may succeed later, because a store or disk was unavailable. Bad data stays bad."""
    return isinstance(error, UnavailableError)
