"""The best that single parts can do on this machine, as a reference: the estimator, Redis, a Flask route."""

import time
from collections.abc import Callable

import redis
from honcho.environ import parse_procfile

from bench.processes import ROOT
from bench.run import Run
from bench.spread import median
from bench.stacks import Stack

FRAME_ROWS = (1, 16, 256, 4096)
REDIS_OPERATIONS = 5000
REPEATS = 7


def limits(run: Run) -> None:
    _predict_in_process(run)
    _redis_round_trips(run)
    _empty_route(run)


def _predict_in_process(run: Run) -> None:
    import pandas as pd  # noqa: PLC0415 - only this figure needs it

    for rows in FRAME_ROWS:
        many = (run.known.rows * (rows // len(run.known.rows) + 1))[:rows]
        frame = pd.DataFrame(many)
        predict_s = _seconds(lambda frame=frame: run.known.estimator.predict_proba(frame))  # type: ignore[misc]
        frame_s = _seconds(lambda many=many: pd.DataFrame(many))  # type: ignore[misc]
        run.note(f"limits.predict.{rows}_ms", 1000 * predict_s)
        run.note(f"limits.frame.{rows}_ms", 1000 * frame_s)


def _redis_round_trips(run: Run) -> None:
    server = run.stacks["queuecast"].redis
    if server is None:
        return
    client = redis.Redis.from_url(server.url)

    def single() -> None:
        for _ in range(REDIS_OPERATIONS):
            client.lpush("bench", b"x" * 100)

    def pipelined() -> None:
        pipeline = client.pipeline(transaction=False)
        for _ in range(REDIS_OPERATIONS):
            pipeline.lpush("bench", b"x" * 100)
        pipeline.execute()

    for name, work in (("single", single), ("pipelined", pipelined)):
        run.note(f"limits.redis.{name}_per_s", REDIS_OPERATIONS / _seconds(work))
        client.delete("bench")
    client.close()


class EmptyStack(Stack):
    """One Flask route under the gateway's own command line."""

    name = "empty"

    def start(self) -> None:
        line = parse_procfile((ROOT / "Procfile").read_text()).processes["api"]
        command = line.replace("--factory api.serve:gateway", "bench.empty_route:app")
        own = {
            "QUEUECAST_API_HOST": "127.0.0.1",
            "QUEUECAST_API_PORT": str(self.port),
            "QUEUECAST_API_THREADS": "64",
        }
        self.processes.start("api", ["/bin/sh", "-c", command], self.environ(own))
        self.wait_for(lambda: self.get("/")[0] == 200, "the route")


def _empty_route(run: Run) -> None:
    stack = EmptyStack(run.known.folder, run.known)
    try:
        stack.start()
        measured = run.measure(stack, "closed", "empty route", seconds=3.0, rows_per_job=0)
        run.note("limits.route_per_s", measured.jobs_per_s)
        run.note("limits.route_cpu_us", 1000 * measured.cpu_ms_per_job)
    finally:
        stack.stop()
        stack.folder.rename(f"{stack.folder}-{time.monotonic_ns()}")  # the next round creates it again


def _seconds(work: Callable[[], object]) -> float:
    work()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return median(found)
