"""Measures how long it takes until every worker has a new champion loaded, under a steady load of one-row predictions.

    python -m bench.convergence [--workers 4] [--versions 30] [--jobs-per-s 100]

Each version is new to the workers, so each of them reads it from the disk, checks it and answers its golden rows.
"""

import argparse
import json
import tempfile
import time
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

    def _push(self) -> None:
        from examples.titanic.train import COLUMNS, TARGET, logistic, passengers  # noqa: PLC0415
        from queuecast import Client  # noqa: PLC0415

        table = passengers()
        with Client(f"http://127.0.0.1:{self.port}") as client:
            for number in range(1, self.versions + 1):
                estimator = logistic().set_params(model__C=0.1 * number).fit(table[COLUMNS], table[TARGET])
                client.push(MODEL, estimator, table[COLUMNS], table[TARGET]).result(timeout_s=START_WAIT_S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4, help="of one process each (default: 4)")
    parser.add_argument("--versions", type=int, default=30, help="that are promoted in turn (default: 30)")
    parser.add_argument("--jobs-per-s", type=float, default=100.0, help="one-row predictions (default: 100)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        known = fitted_titanic(Path(name))
        stack = ManyVersions(Path(name), known, options.workers)
        stack.versions = options.versions
        try:
            stack.start()
            print(json.dumps(measured(stack, known.rows[0], options.jobs_per_s), indent=1))
        finally:
            stack.stop()


def measured(stack: ManyVersions, row: dict[str, Any], jobs_per_s: float) -> dict[str, Any]:
    from queuecast import Client  # noqa: PLC0415

    jobs = OneRowJobs(stack.port, row, jobs_per_s)
    jobs.start()
    with Client(f"http://127.0.0.1:{stack.port}") as client:
        stack.wait_for(lambda: _all_serve(client, row, stack.workers), "every worker with the model")
        times_s = [
            time_s for version in range(2, stack.versions + 1) for time_s in _followed(client, version, stack.workers)
        ]
    load = jobs.stop()
    ordered = sorted(1000 * time_s for time_s in times_s)
    shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    at = {f"{name}_ms": round(ordered[int(share * (len(ordered) - 1))]) for name, share in shares.items()}
    return {"promotions": stack.versions - 1, "workers": stack.workers, **at, "load": load}


def _all_serve(client: Any, row: dict[str, Any], workers: int) -> bool:
    """Whether every worker has the model loaded. Sends jobs to six lanes, because one worker can drain one alone."""
    for priority in ("high", "normal", "low"):
        for method in ("predict", "predict_proba"):
            client.predict(MODEL, [row] * 1000, method=method, priority=priority)
    return bool(client.model(MODEL)["workers"]["total"] == workers)


def _followed(client: Any, version: int, workers: int) -> list[float]:
    """Seconds from the request of the promotion until one worker, two workers, ... have the champion loaded."""
    began = time.monotonic()
    client.promote(MODEL, version)
    times_s: list[float] = []
    while len(times_s) < workers:
        time.sleep(POLL_S)
        arrived = client.model(MODEL)["workers"]["on_champion"]
        times_s += [time.monotonic() - began] * (arrived - len(times_s))
    return times_s


if __name__ == "__main__":
    main()
