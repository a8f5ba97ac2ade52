"""The Celery application of a worker: its settings and what its main process hears about its children."""

import os
from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure
from queuecast.logs import get_logger
from worker.execution import Execution
from worker.tasks import register_tasks

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
    settings: dict[str, Any], task_timeouts_s: dict[str, int], execution: Callable[[], Execution]
) -> Celery:
    """settings: those shared with the producer. execution: built in each child after the fork, never before."""
    celery = Celery("queuecast")
    celery.conf.update(settings | WORKER_SETTINGS)
    register_tasks(celery, task_timeouts_s, execution)

    @signals.task_failure.connect(weak=False)
    def on_failure(  # the main process sends this when a child died or was ended; twice for a time limit
        exception: BaseException | None = None, args: Any = (), **_: Any
    ) -> None:
        if not args or not isinstance(exception, WorkerLostError | TimeLimitExceeded):
            return
        if isinstance(exception, TimeLimitExceeded):
            failure = Failure("timeout", f"the run took longer than {exception.args[0]} s and was ended")
        else:
            failure = Failure("worker_lost", f"the process that ran the job died: {exception}")
        try:
            execution().fail_lost(args[0], failure)
        except UnavailableError:
            log.exception("lost_job_not_recorded", job_id=args[0])

    return celery


def worker_name() -> str:
    """Who claims: host and process, as in Flower's list."""
    return f"{os.uname().nodename}:{os.getpid()}"
