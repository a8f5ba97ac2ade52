"""What Celery's own monitoring state, on which Flower's pages are built, makes of the events of a job."""

import ast
import itertools
from typing import Any

from celery.events.state import State, Task

from queuecast.adapters.celery.job_sample import JobSample
from queuecast.adapters.celery.task_events import events_of
from queuecast.domain.errors import Failure, Finding
from queuecast.domain.job import Job, JobType, ModelRef, Progress
from tests.queuecast.adapters.store_steps import FAILURE, LOSS
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job


def seen(*revisions: Job, nodes: tuple[str, ...] = ("worker.1@host",)) -> Task:
    """The one task of a monitor that was sent the events of these revisions. nodes: the senders, in turn."""
    state, clock = State(), itertools.count(1)
    samples = {node: JobSample() for node in nodes}
    senders = itertools.cycle(nodes)
    for revision in revisions:
        node = next(senders)
        sight = samples[node].sight_of(revision)
        for kind, fields in [] if sight is None else events_of(sight):
            sent = {"type": kind, "hostname": node, "pid": 7, "utcoffset": 0}
            state.event(sent | {"clock": next(clock), "timestamp": NOW, "local_received": NOW} | fields)
    ((job_id, task),) = state.tasks.items()
    assert {job_id} == {each.id for each in revisions}
    return task


def running(kind: JobType = JobType.PREDICTION, **given: Any) -> Job:
    return a_job(kind, **given).accepted().claimed("host.ab12:7", NOW + 2)


def test_a_prediction_that_succeeded() -> None:
    job = running()

    task = seen(job, job.succeeded(NOW + 5.25, RETENTION_S))

    assert (task.name, task.state, task.worker.hostname) == ("titanic.predict", "SUCCESS", "worker.1@host")
    assert (task.received, task.started, task.runtime) == (NOW, NOW + 2, 3.25)
    assert (task.args, task.result) == ("titanic@1", "waited 2000 ms")
    assert ast.literal_eval(task.kwargs) == {
        "model": "titanic",
        "version": 1,
        "alias": "champion",
        "method": "predict",
    }


def test_a_failure_shows_code_and_error_and_no_rows() -> None:
    job = running()
    failure = Failure(
        "bad_rows", "row 3 has 29 features", (Finding("/inputs/3", "wrong_length", "no", found="secret"),)
    )

    task = seen(job, job.failed(failure, NOW + 3, RETENTION_S))

    assert (task.state, task.exception, task.runtime) == ("FAILURE", "bad_rows: row 3 has 29 features", 1.0)
    assert "secret" not in str(task.as_dict())


def test_a_long_error_is_shortened() -> None:
    job = running()

    task = seen(job, job.failed(Failure("run_failed", "x" * 5_000), NOW + 3, RETENTION_S))

    assert len(task.exception) < 1_100


def test_a_running_job_is_a_started_task() -> None:
    task = seen(running(JobType.TRAINING))

    assert (task.name, task.state, task.started) == ("titanic.train", "STARTED", NOW + 2)


def test_a_training_that_waits_is_a_pending_task() -> None:
    task = seen(a_job(JobType.TRAINING).accepted(), nodes=("gateway@host",))

    assert (task.name, task.state, task.client) == ("titanic.train", "PENDING", "gateway@host")


def test_a_training_shows_the_version_that_it_made() -> None:
    job = running(JobType.TRAINING)
    made = job.changed(model=ModelRef("titanic", 7)).succeeded(NOW + 60, RETENTION_S)

    task = seen(job, made)

    assert (task.result, ast.literal_eval(task.kwargs)["version"]) == ("titanic@7", 7)


def test_an_import_and_a_batch_are_named_for_what_they_are() -> None:
    pushed, batch = running(JobType.IMPORT, version=None), running(JobType.BATCH)
    rows = Progress(200, 200, "rows", "predict", errors=3)
    joined = batch.fanned_out(rows, NOW).ready_to_join(NOW).claimed("host.ab12:7", NOW + 4).progressed(rows)

    import_task = seen(pushed)
    batch_task = seen(batch, joined.succeeded(NOW + 5, RETENTION_S))

    assert (import_task.name, ast.literal_eval(import_task.kwargs)["model"]) == ("titanic.import", "titanic")
    assert (batch_task.name, batch_task.result, batch_task.runtime) == ("titanic.batch", "200 rows, 3 bad", 3.0)


def test_a_canceled_run_is_a_revoked_task_that_was_ended() -> None:
    job = running()
    canceled = job.cancel_requested(NOW + 3, RETENTION_S).stopped(NOW + 4, RETENTION_S)

    task = seen(job, canceled)

    assert (task.state, task.terminated, task.expired, task.runtime) == ("REVOKED", True, False, 2.0)


def test_a_job_that_never_ran_is_a_revoked_task_with_its_name() -> None:
    waiting = a_job(expires_at=NOW + 1).accepted()

    canceled = seen(waiting.cancel_requested(NOW + 3, RETENTION_S), nodes=("gateway@host",))
    expired = seen(waiting.expired(NOW + 3, RETENTION_S), nodes=("reaper@host",))

    assert [(each.name, each.state, each.terminated) for each in (canceled, expired)] == [
        ("titanic.predict", "REVOKED", False)
    ] * 2
    assert (canceled.expired, expired.expired) == (False, True)
    assert (canceled.received, canceled.started, canceled.runtime) == (NOW, None, None)


def test_a_lost_run_is_a_retried_task_until_the_next_attempt() -> None:
    job = running()
    lost = job.lost(LOSS, NOW + 3, 1.0, RETENTION_S)
    again = lost.claimed("other.cd34:8", NOW + 5)

    retried = seen(job, lost, nodes=("worker.1@host", "reaper@host"))
    succeeded = seen(
        job, lost, again, again.succeeded(NOW + 6, RETENTION_S), nodes=("worker.1@host", "reaper@host", "worker.2@host")
    )

    assert (retried.state, retried.name) == ("RETRY", "titanic.predict")
    assert retried.exception == f"{LOSS.detail}; runs again after 1.0 s"
    assert (succeeded.state, succeeded.retries) == ("SUCCESS", 1)


def test_a_job_that_a_stopping_worker_hands_back_is_a_retried_task() -> None:
    job = running()

    task = seen(job, job.handed_back(NOW + 3, RETENTION_S))

    assert (task.state, task.exception) == ("RETRY", "a worker handed it back")


def test_a_dead_letter_is_a_failed_task() -> None:
    job = running(max_attempts=1)

    task = seen(job, job.lost(LOSS, NOW + 3, 1.0, RETENTION_S), nodes=("worker.1@host", "reaper@host"))

    assert (task.state, task.exception) == ("FAILURE", f"worker_lost: {LOSS.detail}")
    assert task.worker.hostname == "reaper@host"


def test_a_retry_by_the_caller_is_a_child_of_the_failed_job() -> None:
    failed = running().failed(FAILURE, NOW + 3, RETENTION_S)
    retry = failed.retried_as("job_2", NOW + 10, 3).claimed("host.ab12:7", NOW + 11)

    task = seen(retry)

    assert (task.parent_id, ast.literal_eval(task.kwargs)["retry_of"]) == (failed.id, failed.id)
