"""The Celery tasks by name. Each body is one call: what a task means is in `worker.execution`."""

from collections.abc import Callable

from celery import Celery

from worker.execution import Execution


def register_tasks(celery: Celery, timeouts_s: dict[str, int], execution: Callable[[], Execution]) -> None:
    """timeouts_s: task name -> seconds a run may take before its process is ended.

    There is no soft limit: it is an exception inside the estimator's own code, which may swallow it, and compiled
    code does not see it at all. Rows never travel in a message: the argument is a job's id.
    """
    for name, timeout_s in timeouts_s.items():
        register = celery.task(name=name, time_limit=timeout_s, ignore_result=True)
        register(_run(execution))


def _run(execution: Callable[[], Execution]) -> Callable[[str], None]:
    def run(job_id: str) -> None:
        execution().run(job_id)

    return run
