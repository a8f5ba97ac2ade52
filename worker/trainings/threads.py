"""How many threads a fit may use. A prediction has one: workers are scaled instead, and one thread shares cores well.

Two kinds, because they do not fail alike. Threads that scikit-learn starts for `n_jobs` work each for themselves, so
a busy core costs its share. The threads of an OpenMP pool wait for one another at every step, spinning. With one
of two cores busy, a HistGradientBoosting fit took 34 s with two of them and 1.7 s with one, and two such fits 82 s each
instead of 1.1 s (scikit-learn 1.9.1, 2026-11-21). So pools grow only if the operator assigned cores to them.
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


def fit_threads(wanted: int, quota: float | None, count: int) -> Threads:
    """wanted: the operator's number, 0 for none. quota and count: as `worker.trainings.cpu_quota` tells them."""
    if wanted:
        return Threads(wanted, wanted)
    return Threads(1 if quota is None else count, count)


@contextmanager
def using(threads: Threads) -> Iterator[None]:
    """What is fitted in the block, by the calling thread, uses so many threads.

    Threads for every estimator, processes for none: a child of Celery is daemonic and may start none, and joblib
    would quietly do one thing after the other. In these threads OpenMP pools have the size that the environment
    gives them, 1, so a search over estimators with pools does not multiply the two.
    """
    with threadpool_limits(threads.pools), joblib.parallel_config("threading", n_jobs=threads.jobs):
        yield
