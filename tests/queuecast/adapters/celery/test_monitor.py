"""The events of jobs on their way through Redis, to a receiver of Celery as Flower has one."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from celery import Celery

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.celery.monitor import CeleryMonitor
from queuecast.adapters.celery.settings import celery_settings
from queuecast.domain.job import Job, JobType
from tests.queuecast.adapters.store_steps import FAILURE, LOSS
from tests.queuecast.adapters.waits import until
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

pytestmark = pytest.mark.redis

Received = list[dict[str, Any]]


@pytest.fixture
def listen() -> Iterator[Callable[[str], Received]]:
    """Starts a receiver; returns the growing list of its events."""
    stop = threading.Event()
    threads = []

    def start(url: str) -> Received:
        received: Received = []
        app = Celery("listener", set_as_current=False)
        app.conf.update(celery_settings(url))
        ready = threading.Event()

        def run() -> None:
            with app.connection_for_read() as connection:
                receiver = app.events.Receiver(connection, handlers={"*": received.append})
                with receiver.consumer_context(wakeup=False) as (consuming, _, _):
                    while not stop.is_set():
                        with suppress(TimeoutError):
                            consuming.drain_events(timeout=0.1)
                        ready.set()  # the first call subscribes

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        assert ready.wait(10)
        return received

    yield start
    stop.set()
    for thread in threads:
        thread.join(10)


def running(kind: JobType = JobType.PREDICTION) -> Job:
    return a_job(kind).accepted().claimed("host.ab12:7", NOW)


def kinds(received: Received) -> list[str]:
    return [event["type"] for event in received]


def test_the_events_of_a_job_arrive_in_order_under_its_id(redis_url: str, listen: Callable[[str], Received]) -> None:
    received, job = listen(redis_url), running()

    with closing(CeleryMonitor(redis_url, "worker.1@host", is_worker=True)) as monitor:
        monitor.show([job])
        monitor.show([job.failed(FAILURE, NOW + 1, RETENTION_S)])
        until(lambda: len(received) == 3)

    assert kinds(received) == ["task-received", "task-started", "task-failed"]
    assert {(event["uuid"], event["hostname"]) for event in received} == {(job.id, "worker.1@host")}


def test_the_jobs_of_a_call_are_sent_in_few_messages(redis_url: str, listen: Callable[[str], Received]) -> None:
    received = listen(redis_url)
    jobs = [running() for _ in range(50)]

    with closing(CeleryMonitor(redis_url, "worker.1@host", is_worker=True)) as monitor:
        published: list[Any] = []
        send = monitor._publish
        monitor._publish = lambda sights: (published.append(len(sights)), send(sights))[1]  # type: ignore[method-assign]
        monitor.show(jobs)
        monitor.show([each.succeeded(NOW, RETENTION_S) for each in jobs])
        until(lambda: len(received) == 150)

    assert published == [100]


def test_a_process_that_runs_no_jobs_does_not_count_as_an_online_worker(
    redis_url: str, listen: Callable[[str], Received]
) -> None:
    received = listen(redis_url)

    with closing(CeleryMonitor(redis_url, "gateway@host", is_worker=False)) as monitor:
        monitor.show([a_job().accepted().cancel_requested(NOW, RETENTION_S)])
        until(lambda: len(received) == 3)

    assert kinds(received) == ["task-received", "task-revoked", "worker-offline"]


def test_a_flush_sends_what_waits_before_it_returns(redis_url: str, listen: Callable[[str], Received]) -> None:
    """A process that is about to end itself flushes first."""
    received, job = listen(redis_url), running()
    monitor = CeleryMonitor(redis_url, "worker.1@host", is_worker=True)
    monitor.show([job, job.cancel_requested(NOW, RETENTION_S).stopped(NOW, RETENTION_S)])

    monitor.flush()
    waiting = len(monitor._waiting)
    until(lambda: len(received) == 3)
    monitor.close()

    assert waiting == 0
    assert kinds(received)[-1] == "task-revoked"


@pytest.mark.parametrize("kind", [JobType.PREDICTION, JobType.TRAINING])
def test_a_job_that_another_process_may_run_next_is_sent_at_once(redis_url: str, kind: JobType) -> None:
    """The events of that run would come first, and the job would stay a waiting one on the page."""
    job = running(kind)
    handed_on = job.lost(LOSS, NOW, 0.0, RETENTION_S) if kind is JobType.PREDICTION else a_job(kind).accepted()

    with closing(CeleryMonitor(redis_url, "worker.1@host", is_worker=True)) as monitor, monitor._changed:
        monitor.show([job])
        gathers = not monitor._is_urgent
        monitor.show([handed_on])
        is_sent_now = monitor._is_urgent
    assert gathers
    assert is_sent_now


def test_a_server_that_is_away_neither_blocks_nor_fails_a_job() -> None:
    monitor = CeleryMonitor(f"redis://127.0.0.1:{free_port()}/0", "worker.1@host", is_worker=True)
    began = time.monotonic()

    for _ in range(200):
        job = running(JobType.TRAINING)
        monitor.show([job])
        monitor.show([job.failed(FAILURE, NOW, RETENTION_S)])
    took_s = time.monotonic() - began
    monitor.close()

    assert took_s < 1
    assert time.monotonic() - began < 5


def test_events_are_sent_again_after_a_restart_of_the_server(
    own_server: RedisServer, listen: Callable[[str], Received]
) -> None:
    with closing(CeleryMonitor(own_server.url, "worker.1@host", is_worker=True)) as monitor:
        monitor.show([running()])
        monitor.flush()
        own_server.stop()
        own_server.start()
        received, job = listen(own_server.url), running()

        monitor.show([job, job.failed(FAILURE, NOW, RETENTION_S)])
        until(lambda: len(received) == 3)

    assert kinds(received)[-1] == "task-failed"


def test_the_buffer_is_bounded() -> None:
    monitor = CeleryMonitor(f"redis://127.0.0.1:{free_port()}/0", "worker.1@host", is_worker=True)
    with monitor._changed:  # the thread waits for the lock, as for a Redis that does not answer
        monitor.show([running(JobType.TRAINING) for _ in range(12_000)])
        waiting = len(monitor._waiting)
    monitor.close()

    assert waiting == 10_000
