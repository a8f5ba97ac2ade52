"""Which errors are worth another attempt, and how long to wait before it."""

from queuecast.domain.errors import QueuecastError, UnavailableError

BACKOFF_BASE_S = 1.0
BACKOFF_CAP_S = 60.0
RETENTION_OF_DEAD_LETTERS = 7  # times that of other ended jobs: somebody has to look at them first


def backoff_s(lost_attempts: int, jitter: float) -> float:
    """Seconds to wait after the `lost_attempts`-th loss (1, 2, ...). jitter: random, 0 <= jitter < 1.

    "Full jitter": evenly between 0 and 1, 2, 4 ... s, at most 60 s, so that the jobs of one dead worker do not come
    back all at once (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
    """
    doublings = min(max(lost_attempts - 1, 0), 16)  # 2**16 s is far beyond the cap
    return float(min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2**doublings) * jitter)


def is_transient(error: QueuecastError) -> bool:
    """Whether the same work may go through later: something was away. Bad data stays bad."""
    return isinstance(error, UnavailableError)
