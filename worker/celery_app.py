"""The Celery application of a worker: its settings and what its main process hears about its children."""

import os
from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure
from queuecast.logs import get_logger

log = get_logger()

WORKER_SETTINGS: dict[str, Any] = {
    "task_acks_late": False,  # with it a cut connection runs a job twice, and 5.7.0 dies when Redis restarts
    "worker_disable_prefetch": True,  # a worker that is busy with a long fit must hoard nothing
    "worker_prefetch_multiplier": 1,
    "task_reject_on_worker_lost": False,  # a poison job would loop for ever
    "worker_send_task_events": True,  # Flower
    "worker_hijack_root_logger": False,
    "worker_proc_alive_timeout": 30,  # importing scikit-learn takes longer than the default 4 s on a small machine
    "worker_max_tasks_per_child": 500,  # estimators leak a little; a fresh child costs one model load
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


def create_celery(
    settings: dict[str, Any],
    time_limits_s: dict[str, int],
    answer: Callable[[str, int | None], str],
    on_stop: Callable[[], None],
    recover: Callable[[Failure | None], None],
) -> Celery:
    """settings: those shared with the producer. answer: runs what waits in a lane and says what; called in a child.

    It is told the lane and the priority of the message. The others are called in the main process. on_stop: the worker
    was told to stop, and finishes what it runs. recover: children died, see `failure`; or the worker ends and all of
    them with it (None).
    """
    celery = Celery("queuecast")
    celery.conf.update(settings | WORKER_SETTINGS)
    register_tasks(celery, time_limits_s, answer)

    @signals.worker_shutting_down.connect(weak=False)
    def on_shutting_down(how: str = "", **_: Any) -> None:
        if how == "Cold":  # SIGQUIT: the children were ended, and `worker_shutdown` is not sent
            _recovered(None)
        else:
            on_stop()

    @signals.worker_shutdown.connect(weak=False)
    def on_shutdown(**_: Any) -> None:
        _recovered(None)

    @signals.task_failure.connect(weak=False)
    def on_failure(exception: BaseException | None = None, **_: Any) -> None:
        # Sent in the main process when a child died or was ended; twice for a time limit.
        if isinstance(exception, TimeLimitExceeded):
            _recovered(
                Failure("timeout", f"the process did not end the run, and was ended after {exception.args[0]} s")
            )
        elif isinstance(exception, WorkerLostError):
            _recovered(Failure("worker_lost", f"the process that ran the job died: {exception}"))

    def _recovered(failure: Failure | None) -> None:
        try:
            recover(failure)
        except UnavailableError as error:  # the leases run out, and the reaper does it
            log.warning("jobs_not_recovered", reason=error.detail)

    return celery


def worker_name(instance: str) -> str:
    """Who claims: host, start of the worker, process. The start tells a process from a later one with its pid."""
    return f"{os.uname().nodename}.{instance}:{os.getpid()}"


def is_of(instance: str, worker: str) -> bool:
    """Whether `worker` is a process of this start of this worker."""
    return worker.rpartition(":")[0] == f"{os.uname().nodename}.{instance}"


def is_alive(worker: str) -> bool:
    """Whether the process of a worker of this machine is there."""
    try:
        os.kill(int(worker.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    return True


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
