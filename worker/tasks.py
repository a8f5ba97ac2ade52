"""The Celery tasks by name. Each body is one call: what a task means is in `worker.execution`."""

from collections.abc import Callable

from celery import Celery


def register_tasks(celery: Celery, time_limits_s: dict[str, int], answer: Callable[[str], str]) -> None:
    """time_limits_s: task name -> seconds after which its process is ended from outside.

    A job's own `timeout_s` ends it before; this is for code that never lets the process's other threads run. There is
    no soft limit: it is an exception inside the estimator's own code, which may swallow it, and compiled code does not
    see it at all. A message carries a lane's name, never a job or its rows.
    """
    for name, time_limit_s in time_limits_s.items():
        celery.task(name=name, time_limit=time_limit_s, ignore_result=True)(_answering(answer))


def _answering(answer: Callable[[str], str]) -> Callable[[str], str]:
    def run(lane: str) -> str:
        return answer(lane)  # stored nowhere; Flower shows it as the task's result

    return run
