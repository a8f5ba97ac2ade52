"""The tasks of Celery that run jobs, and the text that Celery logs as their result."""

from celery import Celery

from queuecast.adapters.celery.settings import celery_settings
from worker.celery_app import register_tasks, summary_of
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
