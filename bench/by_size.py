"""Figures: the cost of a row as jobs get longer, and the jobs a second as workers are added."""

from bench.run import Run
from bench.stacks import QueuecastStack

JOBS_BY_ROWS = {1: 1000, 10: 500, 100: 200, 10_000: 8}
WORKERS = (1, 2, 4)
SCALED_JOBS = 1500


def rows_per_job(run: Run) -> None:
    for rows, jobs in JOBS_BY_ROWS.items():
        for name in ("tutorial", "queuecast"):
            measured = run.measure(run.stacks[name], "burst", f"{rows} rows", jobs=jobs, rows_per_job=rows)
            run.note(f"rows.{name}.{rows}.cpu_us_per_row", 1000 * measured.cpu_ms_per_job / rows)
            run.note(f"rows.{name}.{rows}.rows_per_s", measured.jobs_per_s * rows)


def workers(run: Run) -> None:
    stack = run.stacks[QueuecastStack.name]
    assert isinstance(stack, QueuecastStack)  # noqa: S101 - tells the type checker what `start` put there
    usual = stack.workers
    try:
        for count in WORKERS:
            stack.scale(count)
            run.measure(stack, "burst", "warm-up", jobs=200)
            measured = run.measure(stack, "burst", f"{count} workers", jobs=SCALED_JOBS)
            run.note(f"workers.queuecast.{count}.jobs_per_s", measured.jobs_per_s)
            run.note(f"workers.queuecast.{count}.cpu_ms_per_job", measured.cpu_ms_per_job)
    finally:
        stack.scale(usual)
