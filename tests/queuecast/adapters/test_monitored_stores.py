"""One suite for the stores in memory and in Redis: each shows its monitor the revisions that it wrote, and no other."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.monitor import MemoryMonitor
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.domain.errors import StaleWriteError
from queuecast.domain.job import Job
from queuecast.ports.jobs import IdempotencyKey, JobStore, Write
from queuecast.ports.monitor import JobMonitor
from tests.queuecast.adapters.store_steps import FAILURE
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make_jobs(request: pytest.FixtureRequest) -> Iterator[Callable[[JobMonitor], JobStore]]:
    if request.param == "memory":
        yield lambda monitor: MemoryJobs(monitor=monitor)
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield lambda monitor: RedisJobs(client, monitor=monitor)


@pytest.fixture
def monitor() -> MemoryMonitor:
    return MemoryMonitor()


@pytest.fixture
def jobs(make_jobs: Callable[[JobMonitor], JobStore], monitor: MemoryMonitor) -> JobStore:
    return make_jobs(monitor)


def accepted(jobs: JobStore, idempotency_key: IdempotencyKey | None = None) -> Job:
    job = a_job().accepted()
    jobs.create(job, work_of(job.type), b"[[1]]", idempotency_key)
    return job


def test_the_monitor_is_shown_each_revision_in_order(jobs: JobStore, monitor: MemoryMonitor) -> None:
    job = accepted(jobs)
    running = job.claimed("host:7", NOW)
    failed = running.failed(FAILURE, NOW + 1, RETENTION_S)

    jobs.replace(running)
    jobs.replace_all([Write(failed, None, None)])

    assert monitor.shown == [job, running, failed]


def test_a_refused_write_is_not_shown(jobs: JobStore, monitor: MemoryMonitor) -> None:
    """Another process was first, and shows its own revision."""
    job = accepted(jobs)
    running = job.claimed("host:7", NOW)
    jobs.replace(running)

    with suppress(StaleWriteError):
        jobs.replace(job.claimed("host:8", NOW))
    answers = jobs.replace_all([Write(job.claimed("host:9", NOW), None, None)])

    assert answers == [None]
    assert monitor.shown == [job, running]


def test_a_repeated_submit_is_not_shown_again(jobs: JobStore, monitor: MemoryMonitor) -> None:
    key = IdempotencyKey("key-1", "print")

    first = accepted(jobs, key)
    accepted(jobs, key)

    assert monitor.shown == [first]
