"""What only Redis can get wrong: races between processes, keys that outlive their job, a server that is away."""

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis_aliases import RedisAliases
from queuecast.adapters.redis_jobs import INDEX, SCAN_LIMIT, RedisJobs, connect
from queuecast.adapters.redis_workers import RedisWorkers
from queuecast.domain.errors import StaleWriteError, UnavailableError, UnknownJobError
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.ports import JobFilter
from tests.adapters.waits import Listener, at_once, until
from tests.domain.records import NOW, RETENTION_S, a_job, a_move, work_of

pytestmark = pytest.mark.redis

WORK = work_of(JobType.PREDICTION)
CALLS: dict[str, Callable[[redis.Redis], Any]] = {
    "create": lambda client: RedisJobs(client).create(a_job(), WORK),
    "read": lambda client: RedisJobs(client).read("job_1"),
    "read_with_result": lambda client: RedisJobs(client).read_with_result("job_1"),
    "read_work": lambda client: RedisJobs(client).read_work("job_1"),
    "replace": lambda client: RedisJobs(client).replace(a_job(revision=2)),
    "page": lambda client: RedisJobs(client).page(JobFilter(), None, 10),
    "ping": lambda client: RedisJobs(client).ping(),
    "aliases.read": lambda client: RedisAliases(client).read("titanic"),
    "aliases.move": lambda client: RedisAliases(client).move("titanic", a_move(1, 1)),
    "aliases.history": lambda client: RedisAliases(client).history("titanic"),
    "workers.report": lambda client: RedisWorkers(client, lambda: NOW).report("host", ("predict",)),
    "workers.forget": lambda client: RedisWorkers(client, lambda: NOW).forget("host"),
    "workers.waiting": lambda client: RedisWorkers(client, lambda: NOW).waiting(("predict",)),
    "workers.count_by_queue": lambda client: RedisWorkers(client, lambda: NOW).count_by_queue(),
}


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def jobs(client: redis.Redis) -> RedisJobs:
    return RedisJobs(client)


@pytest.fixture(scope="module")
def url_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where a server was and is no more."""
    server = RedisServer(tmp_path_factory.mktemp("gone"))
    server.start()
    server.kill()
    return server.url


def stored(jobs: RedisJobs, job: Job | None = None) -> Job:
    job = job or a_job()
    jobs.create(job, work_of(job.type), b"[[1]]")
    return job


# Races


def test_of_writers_in_many_connections_exactly_one_wins_each_revision(redis_url: str, jobs: RedisJobs) -> None:
    started = stored(jobs).claimed("host:7", NOW)
    jobs.replace(started)
    revisions = range(3, 28)

    def write_all(writer: int) -> list[int]:
        won = []
        with connect(redis_url) as mine:
            for revision in revisions:
                progress = Progress(writer, 8, "stages")
                try:
                    RedisJobs(mine).replace(replace(started, revision=revision, progress=progress))
                except StaleWriteError:
                    continue
                won.append(revision)
        return won

    won = at_once([lambda writer=writer: write_all(writer) for writer in range(8)])  # type: ignore[misc]

    assert all(isinstance(each, list) for each in won), won
    written = sorted(revision for each in won if isinstance(each, list) for revision in each)
    # Nobody skips a revision, so those that were written are the first ones, each once.
    assert written == list(range(3, 3 + len(written)))
    assert jobs.read(started.id).revision == written[-1]


def test_a_listener_is_greeted_only_when_the_server_has_its_subscription(own_server: RedisServer) -> None:
    """The waiter reads the record after the greeting; a change between the two must reach it."""
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)  # so that the pool has a connection that needs no further word from the server
        os.kill(own_server.pid, signal.SIGSTOP)
        listener = Listener(jobs.changes())
        try:
            with pytest.raises(queue.Empty):
                listener.next(deadline_s=0.3)
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
            listener.stop(lambda: jobs.replace(job.claimed("host:7", NOW)))


# Keys


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.CANCELED])
def test_an_ended_job_is_kept_until_it_is_to_be_deleted(client: redis.Redis, jobs: RedisJobs, end: State) -> None:
    job = stored(jobs)
    if end is State.SUCCEEDED:
        job = job.claimed("host:7", NOW)
        jobs.replace(job)
        job = job.succeeded(NOW, RETENTION_S)
    else:
        job = job.cancel_requested(NOW, RETENTION_S)

    jobs.replace(job, b"{}")

    assert client.expiretime(f"qc:job:{job.id}") == NOW + RETENTION_S


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.CANCELING])
def test_a_job_that_has_not_ended_is_kept_for_ever(client: redis.Redis, jobs: RedisJobs, state: State) -> None:
    job = stored(jobs)
    if state is not State.QUEUED:
        job = job.claimed("host:7", NOW)
        jobs.replace(job)
    if state is State.CANCELING:
        jobs.replace(job.cancel_requested(NOW, RETENTION_S))

    assert client.ttl(f"qc:job:{job.id}") == -1


def test_a_job_whose_time_has_come_is_unknown_and_on_no_page(client: redis.Redis, jobs: RedisJobs) -> None:
    kept = stored(jobs)
    job = stored(jobs)
    server_time_s = client.time()[0]

    jobs.replace(job.cancel_requested(server_time_s - 10, 5))

    with pytest.raises(UnknownJobError):
        jobs.read(job.id)
    assert jobs.page(JobFilter(), None, 10).jobs == [kept]


def test_new_jobs_prune_ended_ones_from_the_index(client: redis.Redis, jobs: RedisJobs) -> None:
    for _ in range(6):
        client.delete(f"qc:job:{stored(jobs).id}")

    fresh = [stored(jobs) for _ in range(6)]

    assert client.zrange(INDEX, 0, -1) == [job.id.encode() for job in fresh]


def test_the_index_keeps_jobs_that_are_there(client: redis.Redis, jobs: RedisJobs) -> None:
    made = [stored(jobs) for _ in range(10)]

    assert client.zrange(INDEX, 0, -1) == [job.id.encode() for job in made]


def test_a_page_after_many_records_that_ended_goes_on_with_a_cursor(client: redis.Redis, jobs: RedisJobs) -> None:
    wanted = stored(jobs, a_job(id="job_0"))
    client.zadd(INDEX, {f"job_1{number:05}": 0 for number in range(SCAN_LIMIT + 500)})

    first = jobs.page(JobFilter(), None, 100)
    second = jobs.page(JobFilter(), first.next_cursor, 100)

    assert (first.jobs, first.next_cursor is None, second.jobs) == ([], False, [wanted])


def test_a_rare_job_is_found_in_a_handful_of_round_trips_whatever_the_page_size(
    client: redis.Redis, jobs: RedisJobs
) -> None:
    """One record a look made a page of one cost two round trips a job in the store."""
    stored(jobs, a_job(id="job_0", model="rare"))
    for number in range(300):
        stored(jobs, a_job(id=f"job_1{number:03}"))
    before = client.info("commandstats")["cmdstat_zrevrangebylex"]["calls"] if was_listed(client) else 0

    page = jobs.page(JobFilter(model="rare"), None, 1)

    looks = client.info("commandstats")["cmdstat_zrevrangebylex"]["calls"] - before
    assert ([job.id for job in page.jobs], looks <= 10) == (["job_0"], True), f"{looks} looks"


def was_listed(client: redis.Redis) -> bool:
    return "cmdstat_zrevrangebylex" in client.info("commandstats")


# A server that is away


@pytest.mark.parametrize("name", CALLS)
def test_every_call_says_at_once_that_the_server_is_away(url_of_nobody: str, name: str) -> None:
    began = time.monotonic()

    with connect(url_of_nobody) as client, pytest.raises(UnavailableError, match="Redis does not answer"):
        CALLS[name](client)

    assert time.monotonic() - began < 2


def test_a_wrong_password_is_unavailable_too(redis_server: RedisServer) -> None:
    with connect(f"redis://:wrong@127.0.0.1:{redis_server.port}/0") as client, pytest.raises(UnavailableError):
        RedisJobs(client).ping()


def test_a_store_recovers_by_itself_when_the_server_is_back(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)
        own_server.kill()
        with pytest.raises(UnavailableError):
            jobs.read(job.id)
        own_server.start()

        found = jobs.read(job.id)
        jobs.replace(found.claimed("host:7", NOW))

        assert jobs.read(job.id).state is State.RUNNING


def test_a_listener_is_told_of_the_new_connection_when_the_server_is_back(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)
        listener = Listener(jobs.changes())
        assert listener.next() == ""
        own_server.kill()
        own_server.start()

        assert listener.next() == ""
        listener.stop(lambda: jobs.replace(jobs.read(job.id).claimed("host:7", NOW)))


def test_a_listener_hears_changes_again_when_the_server_is_back(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)
        listener = Listener(jobs.changes())
        listener.next()
        own_server.kill()
        own_server.start()
        listener.next()
        running = jobs.read(job.id).claimed("host:7", NOW)

        jobs.replace(running)

        assert listener.next() == job.id
        listener.stop(lambda: jobs.replace(running.succeeded(NOW, RETENTION_S)))


def test_a_frozen_server_is_given_up_after_seconds(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        jobs.ping()
        os.kill(own_server.pid, signal.SIGSTOP)
        began = time.monotonic()

        with pytest.raises(UnavailableError):
            jobs.ping()

        took_s = time.monotonic() - began
        os.kill(own_server.pid, signal.SIGCONT)
        assert took_s < 8
        until(lambda: answers(jobs))


def test_a_full_server_takes_no_job_and_none_by_halves(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        first, second = stored(jobs), a_job()
        client.config_set("maxmemory", 1)

        with pytest.raises(UnavailableError, match="not allowed when used memory"):
            jobs.create(second, WORK, b"[[1]]")

        client.config_set("maxmemory", 0)
        with pytest.raises(UnknownJobError):
            jobs.read(second.id)
        assert jobs.page(JobFilter(), None, 10).jobs == [first]


def answers(jobs: RedisJobs) -> bool:
    try:
        jobs.ping()
    except UnavailableError:
        return False
    return True
