"""The Celery tasks by name. Each body is one call: what a task means is in `worker.execution`."""

from collections.abc import Callable
from typing import Any

from celery import Celery


def register_tasks(celery: Celery, time_limits_s: dict[str, int], answer: Callable[[str, int | None], str]) -> None:
    """time_limits_s: task name -> seconds after which its process is ended from outside.

    A job's own `timeout_s` ends it before; this is for code that never lets the process's other threads run. There is
    no soft limit: it is an exception inside the estimator's own code, which may swallow it, and compiled code does not
    see it at all. A message carries a lane's name, never a job or its rows.
    """
    for name, time_limit_s in time_limits_s.items():
        celery.task(name=name, time_limit=time_limit_s, ignore_result=True, bind=True)(_answering(answer))


def _answering(answer: Callable[[str, int | None], str]) -> Callable[[Any, str], str]:
    def run(task: Any, lane: str) -> str:
        return answer(lane, task.request.delivery_info["priority"])  # stored nowhere; Flower shows it as the result

    return run
