"""Measures how long it takes until every worker has a new champion loaded, under a steady load of one-row predictions.

    python -m bench.convergence [--workers 4] [--promotions 50] [--jobs-per-s 100]

Each promoted version is new to the workers, so each of them reads it from the disk, checks it and answers its golden
rows. Then it is rolled back to the first version. Each answer is compared with that of the version that its job was
accepted for.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.known_answers import fitted_titanic
from bench.protocols import MODEL
from bench.stacks import START_WAIT_S, QueuecastStack
from bench.steady_load import OneRowJobs

POLL_S = 0.005


class ManyVersions(QueuecastStack):
    """With many versions of one model, each with a different regularization."""

    versions = 2
    expected: dict[int, list[list[float]]]
    """By version, the probabilities of the row that the load sends."""

    def _push(self) -> None:
        import pandas as pd  # noqa: PLC0415

        from examples.titanic.train import COLUMNS, TARGET, logistic, passengers  # noqa: PLC0415
        from queuecast import Client  # noqa: PLC0415

        table = passengers()
        row = pd.DataFrame([self.known.rows[0]])[COLUMNS]
        self.expected = {}
        with Client(f"http://127.0.0.1:{self.port}") as client:
            for number in range(1, self.versions + 1):
                estimator = logistic().set_params(model__C=0.001 * 1.2**number).fit(table[COLUMNS], table[TARGET])
                job = client.push(MODEL, estimator, table[COLUMNS], table[TARGET])
                version = job.result(timeout_s=START_WAIT_S)["version"]
                self.expected[version] = estimator.predict_proba(row).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4, help="of one process each (default: 4)")
    parser.add_argument("--promotions", type=int, default=50, help="each followed by a rollback (default: 50)")
    parser.add_argument("--jobs-per-s", type=float, default=100.0, help="one-row predictions (default: 100)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        known = fitted_titanic(Path(name))
        stack = ManyVersions(Path(name), known, options.workers)
        stack.versions = 1 + options.promotions
        try:
            stack.start()
            print(json.dumps(measured(stack, known.rows[0], options.jobs_per_s), indent=1))
        finally:
            stack.stop()


def measured(stack: ManyVersions, row: dict[str, Any], jobs_per_s: float) -> dict[str, Any]:
    from queuecast import Client  # noqa: PLC0415

    jobs = OneRowJobs(stack.port, row, jobs_per_s, stack.expected)
    jobs.start()
    found: dict[str, list[float]] = {"promotions": [], "rollbacks": []}
    with Client(f"http://127.0.0.1:{stack.port}") as client:
        stack.wait_for(lambda: _all_serve(client, row, stack.workers), "every worker with the model")
        for version in range(2, stack.versions + 1):
            found["promotions"] += _followed(client, stack.workers, partial(client.promote, MODEL, version))
            found["rollbacks"] += _followed(client, stack.workers, partial(client.rollback, MODEL))
    return {
        "workers": stack.workers,
        **{name: _spread(times_s, stack.workers) for name, times_s in found.items()},
        "load": jobs.stop(),
    }


def _spread(times_s: list[float], workers: int) -> dict[str, Any]:
    ordered = sorted(1000 * time_s for time_s in times_s)
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    at = {f"{name}_ms": round(ordered[int(share * (len(ordered) - 1))]) for name, share in shares.items()}
    return {"moves": len(ordered) // workers, **at}


def _all_serve(client: Any, row: dict[str, Any], workers: int) -> bool:
    """Whether every worker has the model loaded. Sends jobs to six lanes, because one worker can drain one alone."""
    for priority in ("high", "normal", "low"):
        for method in ("predict", "predict_proba"):
            client.predict(MODEL, [row] * 1000, method=method, priority=priority)
    return bool(client.model(MODEL)["workers"]["total"] == workers)


def _followed(client: Any, workers: int, move: Callable[[], object]) -> list[float]:
    """Seconds from the request that moves the champion until one worker, two workers, ... have it loaded."""
    began = time.monotonic()
    move()
    times_s: list[float] = []
    while len(times_s) < workers:
        time.sleep(POLL_S)
        arrived = client.model(MODEL)["workers"]["on_champion"]
        times_s += [time.monotonic() - began] * (arrived - len(times_s))
    return times_s


if __name__ == "__main__":
    main()
