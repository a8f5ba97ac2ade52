"""The Celery application of a worker: its settings, its tasks, and the recovery of jobs when a child process dies."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Celery, signals

from queuecast.domain.errors import Failure, UnavailableError
from queuecast.logs import get_logger
from worker.engine.contracts import ModelCall

log = get_logger()

WORKER_SETTINGS: dict[str, Any] = {
    "task_acks_late": False,  # with it a cut connection runs a job twice, and 5.7.0 dies when Redis restarts
    "worker_disable_prefetch": True,  # a worker that is busy with a long fit must not hold other messages
    "worker_prefetch_multiplier": 1,
    "task_reject_on_worker_lost": False,  # a poison job would be redelivered without end
    "worker_send_task_events": True,  # Flower would switch them on; the tasks here have none
    "worker_hijack_root_logger": False,
    "worker_proc_alive_timeout": 30,  # importing scikit-learn takes longer than the default 4 s on a small machine
    "worker_max_tasks_per_child": 500,  # estimators leak a little; a fresh child costs one model load
    "worker_cancel_long_running_tasks_on_connection_loss": False,
}


def create_celery(
    settings: dict[str, Any],
    time_limits_s: dict[str, int],
    drain: Callable[[str, int | None, "RunningTask"], list[ModelCall]],
    on_stop: Callable[[], None],
    recover: Callable[[Failure | None, str], None],
    on_child_end: Callable[[], None],
    on_child_start: Callable[[tuple[str, ...]], None],
) -> Celery:
    """settings: the ones shared with the producer. drain: runs a lane's jobs in a child process; takes the name of the
    lane, the priority of the message and the task.

    The main process calls the next two. on_stop: the worker was asked to stop and finishes its runs. recover: child
    processes died, see `failure`; None when the worker and all of its children end. It also takes the worker's name as
    a node of Celery. on_child_end: called in a child process that ends in order. on_child_start: called in a new child
    process, with the queues of the worker.
    """
    celery = Celery("queuecast")
    celery.conf.update(settings | WORKER_SETTINGS)
    register_tasks(celery, time_limits_s, drain)
    node, queues = "", tuple[str, ...]()
    plain_stop = PlainStop()
    logging.getLogger("celery.worker.request").addFilter(plain_stop)

    @signals.celeryd_init.connect(weak=False)
    def on_init(sender: str = "", **_: Any) -> None:
        nonlocal node
        node = sender

    @signals.celeryd_after_setup.connect(weak=False)
    def on_setup(instance: Any = None, **_: Any) -> None:
        nonlocal queues
        queues = tuple(instance.app.amqp.queues.consume_from)

    @signals.worker_process_init.connect(weak=False)
    def on_process_init(**_: Any) -> None:
        on_child_start(queues)

    @signals.worker_shutting_down.connect(weak=False)
    def on_shutting_down(how: str = "", **_: Any) -> None:
        plain_stop.is_stopping = True
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
            recover(failure, node)
        except UnavailableError as error:  # the reaper recovers them when the leases run out
            log.warning("job_recovery_failed", reason=error.detail)

    @signals.worker_process_shutdown.connect(weak=False)
    def on_process_shutdown(**_: Any) -> None:
        on_child_end()

    return celery


class PlainStop(logging.Filter):
    """Logs the end of a process in one line while the worker stops, where Celery logs an error with a traceback.

    A run that hangs ends its process then. Celery takes no commands any more, so it cannot know that this was ordered,
    see `RunningTask.end_process`.
    """

    is_stopping = False

    def filter(self, record: logging.LogRecord) -> bool:
        kind, error, _ = record.exc_info or (None, None, None)
        if self.is_stopping and kind is not None and issubclass(kind, WorkerLostError):
            error = getattr(error, "exc", error)  # billiard wraps it in an error that prints the traceback
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = (
                "a process ended while the worker stopped, its jobs were handed back: %s",
                (error,),
            )
            record.exc_info = record.exc_text = None
        return True


class RunningTask:
    """A task of Celery, in the child process that runs it."""

    def __init__(self, celery: Celery, node: str, task_id: str) -> None:
        """node: as in `create_celery`."""
        self.node = node
        self._celery = celery
        self._task_id = task_id

    def end_process(self) -> None:
        """Ends the process in the middle of the task. Does not return.

        SIGKILL, because nothing else ends compiled code. The main process sends it, when Celery's command revokes the
        task: it then knows that the death was ordered. A child that kills itself is a lost worker to Celery, which logs
        an error with a traceback. That is still the last resort, because the command needs Redis.
        """
        threading.Thread(target=self._ask_main_process, name="end", daemon=True).start()
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

    def _ask_main_process(self) -> None:
        try:
            self._celery.control.revoke(self._task_id, destination=[self.node], terminate=True, signal="SIGKILL")
        except Exception as error:  # Redis is away, and kombu has many errors for that
            log.warning("end_not_requested", reason=str(error))


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
    celery: Celery, time_limits_s: dict[str, int], drain: Callable[[str, int | None, RunningTask], list[ModelCall]]
) -> None:
    """time_limits_s: task name -> seconds after which Celery kills its process.

    A job's own `timeout_s` ends it earlier; this limit is for code that never lets the process's other threads run.
    There is no soft limit: it raises an exception inside the estimator, which may swallow it, and compiled code never
    sees it. A message carries a lane's name, never a job or its rows. It has no events: a monitor lists the jobs.
    """
    for name, time_limit_s in time_limits_s.items():
        task = celery.task(name=name, time_limit=time_limit_s, ignore_result=True, send_events=False, bind=True)
        task(_task(drain))


def _task(drain: Callable[[str, int | None, RunningTask], list[ModelCall]]) -> Callable[[Any, str], str]:
    def run(task: Any, lane: str) -> str:
        request = task.request
        running = RunningTask(task.app, request.hostname, request.id)
        return summary_of(drain(lane, request.delivery_info["priority"], running))  # not stored; Celery logs it

    return run


def summary_of(calls: list[ModelCall]) -> str:
    """The calls of one task, each with its jobs and rows; at most 20 of them."""
    jobs, rows = sum(call.jobs for call in calls), sum(call.rows for call in calls)
    listed = ", ".join(f"{call.jobs}/{call.rows}" for call in calls[:20])
    more = ", ..." if len(calls) > 20 else ""
    return f"{jobs} jobs, {rows} rows in {len(calls)} calls" + (f" (jobs/rows: {listed}{more})" if calls else "")
