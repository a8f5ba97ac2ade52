"""The number of threads for a fit. A prediction uses one thread; the operator adds workers instead.

Two numbers, because the two kinds of threads react differently to a busy core. The threads of `n_jobs` work
independently, so a busy core only slows its own thread. The threads of an OpenMP pool spin until all have finished each
step. With one of two cores busy, a HistGradientBoosting fit took 34 s with a pool of two and 1.7 s with one thread, and
two such fits took 82 s each instead of 1.1 s (scikit-learn 1.9.1, 2026-11-21). So a pool has more than one thread only
if the operator assigned cores to this container.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import joblib
from threadpoolctl import threadpool_limits


@dataclass(frozen=True, slots=True)
class Threads:
    """pools: threads of BLAS and OpenMP. jobs: the meaning of `n_jobs=None`."""

    pools: int = 1
    jobs: int = 1


def fit_threads(setting: int, quota: float | None, count: int) -> Threads:
    """setting: the operator's number of threads, 0 to choose here. quota, count: from `worker.trainings.cpu_quota`."""
    if setting:
        return Threads(setting, setting)
    return Threads(1 if quota is None else count, count)


@contextmanager
def using_threads(threads: Threads) -> Iterator[None]:
    """Fits in the block, made by the calling thread, use these threads.

    joblib uses threads and no processes: a child process of Celery is daemonic and may start none, so joblib would
    silently run all jobs one after the other. OpenMP pools within joblib's threads have the size of the environment
    variables, 1, so a search over estimators with pools does not multiply the two numbers.
    """
    with threadpool_limits(threads.pools), joblib.parallel_config("threading", n_jobs=threads.jobs):
        yield
