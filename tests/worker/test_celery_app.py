"""The tasks of Celery that run jobs, and the text that Celery logs as their result."""

import logging
import sys

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import Celery

from queuecast.adapters.celery.settings import celery_settings
from worker.celery_app import PlainStop, register_tasks, summary_of
from worker.engine.contracts import ModelCall


def test_the_log_shows_each_call_with_its_jobs_and_rows() -> None:
    calls = [ModelCall(12, 300), ModelCall(1, 1)]

    assert summary_of(calls) == "13 jobs, 301 rows in 2 calls (jobs/rows: 12/300, 1/1)"
    assert summary_of([]) == "0 jobs, 0 rows in 0 calls"


def test_the_log_shows_the_first_twenty_calls() -> None:
    summary = summary_of([ModelCall(1, number) for number in range(1, 22)])

    assert summary.startswith("21 jobs, 231 rows in 21 calls (jobs/rows: 1/1, ")
    assert summary.endswith("1/20, ...)")


def test_the_messages_that_wake_a_worker_are_no_tasks_in_flower() -> None:
    """Flower lists jobs. Without events of its own a message is not listed, and the worker's heartbeats still are."""
    celery = Celery(set_as_current=False)

    register_tasks(celery, {"queuecast.predict": 60}, lambda lane, priority, task: [])

    assert not celery.tasks["queuecast.predict"].send_events
    assert not celery_settings("redis://")["task_send_sent_event"]


def logged(plain_stop: PlainStop, error: Exception) -> str:
    """What a log shows of an error that Celery found in a process of its pool."""
    try:
        raise error
    except Exception as raised:
        exc_info = ExceptionInfo().exc_info if isinstance(raised, WorkerLostError) else sys.exc_info()
    words = "Task handler raised error: %r"
    record = logging.LogRecord("celery.worker.request", logging.ERROR, __file__, 1, words, (error,), exc_info)
    assert plain_stop.filter(record)
    return logging.Formatter("%(levelname)s %(message)s").format(record)


def test_a_process_that_ends_while_the_worker_stops_is_one_line_in_the_log() -> None:
    plain_stop = PlainStop()
    lost = WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL) Job: 3.")

    before = logged(plain_stop, lost)
    plain_stop.is_stopping = True

    assert "Traceback" in before
    assert (
        logged(plain_stop, lost)
        == f"WARNING a process ended while the worker stopped, its jobs were handed back: {lost}"
    )
    assert "Traceback" in logged(plain_stop, ValueError("another error"))
