"""The Celery application of a worker: its settings, its tasks, and the recovery of jobs when a child process dies."""

import os
from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals

from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure
from queuecast.logs import get_logger
from worker.engine.contracts import ModelCall

log = get_logger()

WORKER_SETTINGS: dict[str, Any] = {
    "task_acks_late": False,  # with it a cut connection runs a job twice, and 5.7.0 dies when Redis restarts
    "worker_disable_prefetch": True,  # a worker that is busy with a long fit must not hold other messages
    "worker_prefetch_multiplier": 1,
    "task_reject_on_worker_lost": False,  # a poison job would be redelivered without end
    "worker_send_task_events": True,  # Flower
    "worker_hijack_root_logger": False,
    "worker_proc_alive_timeout": 30,  # importing scikit-learn takes longer than the default 4 s on a small machine
    "worker_max_tasks_per_child": 500,  # estimators leak a little; a fresh child costs one model load
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


def create_celery(
    settings: dict[str, Any],
    time_limits_s: dict[str, int],
    drain: Callable[[str, int | None], list[ModelCall]],
    on_stop: Callable[[], None],
    recover: Callable[[Failure | None], None],
) -> Celery:
    """settings: the ones shared with the producer. drain: runs a lane's jobs in a child process; takes the name of the
    lane and the priority of the message.

    The main process calls the other two. on_stop: the worker was asked to stop and finishes its runs. recover: child
    processes died, see `failure`; None when the worker and all of its children end.
    """
    celery = Celery("queuecast")
    celery.conf.update(settings | WORKER_SETTINGS)
    register_tasks(celery, time_limits_s, drain)

    @signals.worker_shutting_down.connect(weak=False)
    def on_shutting_down(how: str = "", **_: Any) -> None:
        if how == "Cold":  # SIGQUIT: the children were ended, and `worker_shutdown` is not sent
            _recover_jobs(None)
        else:
            on_stop()

    @signals.worker_shutdown.connect(weak=False)
    def on_shutdown(**_: Any) -> None:
        _recover_jobs(None)

    @signals.task_failure.connect(weak=False)
    def on_failure(exception: BaseException | None = None, **_: Any) -> None:
        # Sent in the main process when a child died or was ended; twice for a time limit.
        if isinstance(exception, TimeLimitExceeded):
            _recover_jobs(
                Failure("timeout", f"the process did not end the run, and was ended after {exception.args[0]} s")
            )
        elif isinstance(exception, WorkerLostError):
            _recover_jobs(Failure("worker_lost", f"the process that ran the job died: {exception}"))

    def _recover_jobs(failure: Failure | None) -> None:
        try:
            recover(failure)
        except UnavailableError as error:  # the reaper recovers them when the leases run out
            log.warning("job_recovery_failed", reason=error.detail)

    return celery


def worker_name(instance: str) -> str:
    """Identifies a process: host, start of the worker, pid. The start tells it from a later process with its pid."""
    return f"{os.uname().nodename}.{instance}:{os.getpid()}"


def is_of(instance: str, worker: str) -> bool:
    """Whether `worker` is a process of this start of this worker."""
    return worker.rpartition(":")[0] == f"{os.uname().nodename}.{instance}"


def is_alive(worker: str) -> bool:
    """Whether that worker process of this machine is still there."""
    try:
        os.kill(int(worker.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    return True


def register_tasks(
    celery: Celery, time_limits_s: dict[str, int], drain: Callable[[str, int | None], list[ModelCall]]
) -> None:
    """time_limits_s: task name -> seconds after which Celery kills its process.

    A job's own `timeout_s` ends it earlier; this limit is for code that never lets the process's other threads run.
    There is no soft limit: it raises an exception inside the estimator, which may swallow it, and compiled code never
    sees it. A message carries a lane's name, never a job or its rows.
    """
    for name, time_limit_s in time_limits_s.items():
        celery.task(name=name, time_limit=time_limit_s, ignore_result=True, bind=True)(_task(drain))


def _task(drain: Callable[[str, int | None], list[ModelCall]]) -> Callable[[Any, str], str]:
    def run(task: Any, lane: str) -> str:
        calls = drain(lane, task.request.delivery_info["priority"])
        return summary_for_flower(calls)  # not stored; Flower shows it as the result

    return run


def summary_for_flower(calls: list[ModelCall]) -> str:
    """The calls of one task, each with its jobs and rows; at most 20 of them."""
    jobs, rows = sum(call.jobs for call in calls), sum(call.rows for call in calls)
    listed = ", ".join(f"{call.jobs}/{call.rows}" for call in calls[:20])
    more = ", ..." if len(calls) > 20 else ""
    return f"{jobs} jobs, {rows} rows in {len(calls)} calls" + (f" (jobs/rows: {listed}{more})" if calls else "")
