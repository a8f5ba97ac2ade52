"""The job store in Redis: races between processes, expiring keys, a server that is away or full."""

import os
import queue
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_changes import ChangeListener
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.adapters.redis.workers import RedisWorkers
from queuecast.domain.errors import (
    ConflictError,
    GoneJobError,
    KeyReusedError,
    LaneFullError,
    StaleWriteError,
    StoreFullError,
    UnavailableError,
    UnknownJobError,
)
from queuecast.domain.job import JobType, Progress, State
from queuecast.ports.jobs import IdempotencyKey, JobFilter
from queuecast.ports.lanes import Reservation
from queuecast.ports.workers import ProcessModels
from tests.conftest import require_fsync
from tests.queuecast.adapters.disks import mount, unmount
from tests.queuecast.adapters.store_steps import changed_ids, dead, ended, stored
from tests.queuecast.adapters.waits import Listener, at_once, until
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, a_move, work_of
from tests.redis_servers import redis_server_in
from tests.system.proxy import Proxy

pytestmark = pytest.mark.redis

WORK = work_of(JobType.PREDICTION)
TRAINING = work_of(JobType.TRAINING)
HELD = Reservation("training", "1-1", "job_1", "host")
CALLS: dict[str, Callable[[redis.Redis], Any]] = {
    "create": lambda client: RedisJobs(client).create(a_job(), WORK),
    "read": lambda client: RedisJobs(client).read("job_1"),
    "read_with_result": lambda client: RedisJobs(client).read_with_result("job_1"),
    "read_many_with_results": lambda client: RedisJobs(client).read_many_with_results(["job_1"]),
    "read_work": lambda client: RedisJobs(client).read_work("job_1"),
    "replace": lambda client: RedisJobs(client).replace(a_job(revision=2)),
    "create durably": lambda client: RedisJobs(client, durable=True).create(a_job(), WORK),
    "find_repeated": lambda client: RedisJobs(client).find_repeated(IdempotencyKey("key-1", "print")),
    "delete": lambda client: RedisJobs(client).delete("job_1"),
    "past_start_deadline": lambda client: RedisJobs(client).past_start_deadline(NOW),
    "page": lambda client: RedisJobs(client).page(JobFilter(), None, 10),
    "dead_letters": lambda client: RedisJobs(client).dead_letters(None, 10),
    "count_dead_letters": lambda client: RedisJobs(client).count_dead_letters(NOW),
    "memory": lambda client: RedisJobs(client).memory(),
    "ping": lambda client: RedisJobs(client).ping(),
    "lanes.reserve": lambda client: RedisLanes(client).reserve("training", "host", 1, clears_bell=True),
    "lanes.renew": lambda client: RedisLanes(client).renew([HELD]),
    "lanes.requeue": lambda client: RedisLanes(client).requeue(HELD),
    "lanes.reservations": lambda client: RedisLanes(client).reservations(),
    "lanes.enqueue_due": lambda client: RedisLanes(client).enqueue_due(NOW),
    "lanes.record_ring": lambda client: RedisLanes(client).record_ring("training"),
    "lanes.stats": lambda client: RedisLanes(client).stats(),
    "lanes.forget_workers": lambda client: RedisLanes(client).forget_workers(1.0),
    "aliases.read": lambda client: RedisAliases(client).read("titanic"),
    "aliases.move": lambda client: RedisAliases(client).move("titanic", a_move(1, 1)),
    "aliases.history": lambda client: RedisAliases(client).history("titanic"),
    "aliases.wait_for_moves": lambda client: RedisAliases(client).wait_for_moves("0-0", 0.1),
    "aliases.claim_check": lambda client: RedisAliases(client).claim_check("titanic", 1),
    "workers.report_models": lambda client: RedisWorkers(client, lambda: NOW).report_models("host:7", ProcessModels()),
    "workers.forget_process": lambda client: RedisWorkers(client, lambda: NOW).forget_process("host:7"),
    "workers.loaded_models": lambda client: RedisWorkers(client, lambda: NOW).loaded_models(),
    "workers.report": lambda client: RedisWorkers(client, lambda: NOW).report("host", ("predict",)),
    "workers.forget": lambda client: RedisWorkers(client, lambda: NOW).forget("host"),
    "workers.queue_lengths": lambda client: RedisWorkers(client, lambda: NOW).queue_lengths(("predict",)),
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
def url_without_server(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a server that was killed."""
    server = redis_server_in(tmp_path_factory.mktemp("gone"))
    server.start()
    server.kill()
    return server.url


# Races


def test_exactly_one_of_many_connections_writes_each_revision(redis_url: str, jobs: RedisJobs) -> None:
    started = stored(jobs).claimed("host:7", NOW)
    jobs.replace(started)
    revisions = range(3, 28)

    def write_all(writer: int) -> list[int]:
        won = []
        with connect(redis_url) as connection:
            for revision in revisions:
                progress = Progress(writer, 8, "stages")
                try:
                    RedisJobs(connection).replace(replace(started, revision=revision, progress=progress))
                except StaleWriteError:
                    continue
                won.append(revision)
        return won

    won = at_once([lambda writer=writer: write_all(writer) for writer in range(8)])  # type: ignore[misc]

    assert all(isinstance(each, list) for each in won), won
    written = sorted(revision for each in won if isinstance(each, list) for revision in each)
    # No writer skips a revision, so the written ones are consecutive.
    assert written == list(range(3, 3 + len(written)))
    assert jobs.read(started.id).revision == written[-1]


def test_a_listener_is_connected_only_when_the_server_has_its_subscription(own_server: RedisServer) -> None:
    """A waiter reads the record once it is connected; every later change must reach it."""
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)  # opens a connection, which the listener takes from the pool
        os.kill(own_server.pid, signal.SIGSTOP)
        listener = Listener(changed_ids(jobs))
        try:
            with pytest.raises(queue.Empty):
                listener.next(deadline_s=0.3)
        finally:
            os.kill(own_server.pid, signal.SIGCONT)
            listener.stop(lambda: jobs.replace(job.claimed("host:7", NOW)))


# Keys


@pytest.mark.parametrize("end", [State.SUCCEEDED, State.CANCELED])
def test_an_ended_job_is_stored_until_its_retention_ends(client: redis.Redis, jobs: RedisJobs, end: State) -> None:
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
def test_a_job_that_has_not_ended_never_expires(client: redis.Redis, jobs: RedisJobs, state: State) -> None:
    job = stored(jobs)
    if state is not State.QUEUED:
        job = job.claimed("host:7", NOW)
        jobs.replace(job)
    if state is State.CANCELING:
        jobs.replace(job.cancel_requested(NOW, RETENTION_S))

    assert client.ttl(f"qc:job:{job.id}") == -1


def test_an_expired_job_is_unknown_and_on_no_page(client: redis.Redis, jobs: RedisJobs) -> None:
    kept = stored(jobs)
    job = stored(jobs)
    server_time_s = client.time()[0]

    jobs.replace(job.cancel_requested(server_time_s - 10, 5))

    with pytest.raises(UnknownJobError):
        jobs.read(job.id)
    assert jobs.page(JobFilter(), None, 10).jobs == [kept]


def test_an_expired_job_is_gone_for_as_long_as_its_retention_and_then_unknown(
    client: redis.Redis, jobs: RedisJobs
) -> None:
    job = stored(jobs)
    finished_at = client.time()[0] - 1

    jobs.replace(job.cancel_requested(finished_at, 1))

    with pytest.raises(GoneJobError):
        jobs.read(job.id)
    assert until(lambda: not client.exists(f"qc:gone:{job.id}"))
    with pytest.raises(UnknownJobError) as caught:
        jobs.read(job.id)
    assert not isinstance(caught.value, GoneJobError)


def test_the_tombstone_of_a_job_outlives_its_record_by_its_retention(client: redis.Redis, jobs: RedisJobs) -> None:
    job = stored(jobs)

    jobs.replace(job.cancel_requested(NOW, RETENTION_S))

    assert client.expiretime(f"qc:gone:{job.id}") == NOW + 2 * RETENTION_S + 1


def test_a_job_that_has_not_ended_has_no_tombstone(client: redis.Redis, jobs: RedisJobs) -> None:
    jobs.replace(stored(jobs).claimed("host:7", NOW))

    assert client.keys("qc:gone:*") == []


def test_an_expired_dead_letter_is_on_no_page(client: redis.Redis, jobs: RedisJobs) -> None:
    past, kept = stored(jobs), stored(jobs)
    for job, finished_at in ((past, client.time()[0] - 10), (kept, NOW)):
        running = job.claimed("host:7", NOW)
        jobs.replace(running)
        jobs.replace(replace(dead(running), finished_at=finished_at, delete_at=finished_at + 5))

    pages = [jobs.dead_letters(None, limit).jobs for limit in (2, 1)]

    assert [[job.id for job in page] for page in pages] == [[kept.id], [kept.id]]
    assert client.zrange("qc:dead", 0, -1) == [kept.id.encode()]


def test_a_key_is_stored_for_a_day(client: redis.Redis, jobs: RedisJobs) -> None:
    jobs.create(a_job(), WORK, b"", IdempotencyKey("key-1", "print"))

    day_s = 24 * 3600
    assert day_s - 60 < client.ttl("qc:idempotency:key-1") <= day_s


def test_a_repeated_request_does_not_extend_the_life_of_its_key(client: redis.Redis, jobs: RedisJobs) -> None:
    jobs.create(a_job(), WORK, b"", IdempotencyKey("key-1", "print"))
    client.expire("qc:idempotency:key-1", 100)

    jobs.create(a_job(), WORK, b"", IdempotencyKey("key-1", "print"))

    assert client.ttl("qc:idempotency:key-1") <= 100


def test_new_jobs_prune_ended_ones_from_the_index(client: redis.Redis, jobs: RedisJobs) -> None:
    for _ in range(6):
        client.delete(f"qc:job:{stored(jobs).id}")

    fresh = [stored(jobs) for _ in range(6)]

    assert client.zrange(keys.JOBS, 0, -1) == [job.id.encode() for job in fresh]


def test_existing_jobs_stay_in_the_index(client: redis.Redis, jobs: RedisJobs) -> None:
    made = [stored(jobs) for _ in range(10)]

    assert client.zrange(keys.JOBS, 0, -1) == [job.id.encode() for job in made]


def test_a_page_over_many_expired_records_continues_with_a_cursor(client: redis.Redis, jobs: RedisJobs) -> None:
    wanted = stored(jobs, a_job(id="job_0"))
    client.zadd(keys.JOBS, {f"job_1{number:05}": 0 for number in range(2_000 + 500)})

    first = jobs.page(JobFilter(), None, 100)
    second = jobs.page(JobFilter(), first.next_cursor, 100)

    assert (first.jobs, first.next_cursor is None, second.jobs) == ([], False, [wanted])


def test_a_rare_job_is_found_in_few_round_trips_for_every_page_size(client: redis.Redis, jobs: RedisJobs) -> None:
    """A page of one job once cost two round trips for each job in the store."""
    stored(jobs, a_job(id="job_0", model="rare"))
    for number in range(300):
        stored(jobs, a_job(id=f"job_1{number:03}"))
    before = client.info("commandstats")["cmdstat_zrevrangebylex"]["calls"] if was_listed(client) else 0

    page = jobs.page(JobFilter(model="rare"), None, 1)

    trips = client.info("commandstats")["cmdstat_zrevrangebylex"]["calls"] - before
    assert ([job.id for job in page.jobs], trips <= 10) == (["job_0"], True), f"{trips} trips"


@pytest.mark.parametrize("limit", [1, 13, 50, 120])
def test_a_page_reads_about_as_many_records_as_it_returns(client: redis.Redis, jobs: RedisJobs, limit: int) -> None:
    """Each page once read 500 records."""
    for _ in range(300):
        stored(jobs)
    before = client.info("commandstats").get("cmdstat_hget", {"calls": 0})["calls"]

    page = jobs.page(JobFilter(), None, limit)

    read = client.info("commandstats")["cmdstat_hget"]["calls"] - before
    assert (len(page.jobs), read < limit + 50) == (limit, True), f"{read} records"


@pytest.mark.parametrize("kind", ["jobs", "dead letters"])
def test_a_page_of_large_records_is_bounded_in_bytes_and_continues(
    client: redis.Redis, jobs: RedisJobs, kind: str
) -> None:
    made = [stored(jobs, a_job(metadata={"a": "x" * 16_000})) for _ in range(60)]
    client.zadd(keys.DEAD, {job.id: index for index, job in enumerate(made)})

    found, cursor, sizes = [], None, []
    while True:
        page = jobs.page(JobFilter(), cursor, 200) if kind == "jobs" else jobs.dead_letters(cursor, 200)
        found += [job.id for job in page.jobs]
        sizes.append(len(page.jobs))
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(found) == sorted(job.id for job in made)
    assert max(sizes) <= 50


def was_listed(client: redis.Redis) -> bool:
    return "cmdstat_zrevrangebylex" in client.info("commandstats")


# A server that is down


@pytest.mark.parametrize("name", CALLS)
def test_every_call_fails_at_once_while_the_server_is_away(url_without_server: str, name: str) -> None:
    began = time.monotonic()

    with connect(url_without_server) as client, pytest.raises(UnavailableError, match="Redis does not answer"):
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


def test_a_listener_reports_its_new_connection_when_the_server_is_back(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)
        listener = Listener(changed_ids(jobs))
        assert listener.next() == ""
        own_server.kill()
        own_server.start()

        assert listener.next() == ""
        listener.stop(lambda: jobs.replace(jobs.read(job.id).claimed("host:7", NOW)))


def test_a_listener_gets_changes_again_when_the_server_is_back(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        job = stored(jobs)
        listener = Listener(changed_ids(jobs))
        listener.next()
        own_server.kill()
        own_server.start()
        listener.next()
        running = jobs.read(job.id).claimed("host:7", NOW)

        jobs.replace(running)

        assert listener.next() == job.id
        listener.stop(lambda: jobs.replace(running.succeeded(NOW, RETENTION_S)))


def test_a_call_to_a_frozen_server_fails_within_seconds(own_server: RedisServer) -> None:
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


# A server that is full


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_full_server_refuses_a_job_and_writes_nothing(own_server: RedisServer, is_durable: bool) -> None:
    if is_durable:
        require_fsync()
    with connect(own_server.url) as client:
        jobs = RedisJobs(client, durable=is_durable)
        letter = ended(jobs, RedisLanes(client), "dead letter")
        stored(jobs)
        before = everything(client)
        client.config_set("maxmemory", 1)
        again = letter.retried_as(a_job().id, NOW, 3)

        with pytest.raises(StoreFullError, match="Redis has no memory left"):
            jobs.create(a_job(JobType.TRAINING, expires_at=NOW), TRAINING, b"[[1]]", IdempotencyKey("key-1", "print"))
        with pytest.raises(StoreFullError):
            jobs.create(again, WORK, b"[[1]]", replayed_dead_letter=letter.id)

        assert everything(client) == before


def test_a_full_server_still_finds_the_job_of_a_repeated_request(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs, job, idempotency_key = RedisJobs(client), a_job(), IdempotencyKey("key-1", "print")
        jobs.create(job, WORK, b"", idempotency_key)
        client.config_set("maxmemory", 1)

        assert (jobs.create(a_job(), WORK, b"", idempotency_key).job_id, jobs.find_repeated(idempotency_key)) == (
            job.id,
            job.id,
        )


def test_a_server_that_is_no_longer_full_accepts_jobs_again(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        client.config_set("maxmemory", 1)
        with pytest.raises(StoreFullError):
            stored(jobs)
        client.config_set("maxmemory", 0)

        job = stored(jobs)

        assert jobs.read(job.id) == job


def test_the_memory_of_a_server_and_its_limit_are_reported(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        client.config_set("maxmemory", 2**30)

        used, limit = RedisJobs(client).memory()

    assert limit == 2**30
    assert 100_000 < used < limit


# Durable submits


@pytest.fixture
def durable(client: redis.Redis) -> RedisJobs:
    require_fsync()
    return RedisJobs(client, max_lane_jobs=2, durable=True)


def test_a_durable_submit_writes_and_answers_like_any_other(client: redis.Redis, durable: RedisJobs) -> None:
    first, second = a_job(), a_job()

    answers = [durable.create(job, WORK, b"[[1]]", IdempotencyKey(job.id, "print")) for job in (first, second)]

    assert [(answer.job_id, answer.must_ring) for answer in answers] == [(first.id, True), (second.id, False)]
    assert [durable.read(job.id) for job in (first, second)] == [first, second]
    assert [each.job_id for each in RedisLanes(client).reserve(first.lane, "host", 5, clears_bell=True)[0]] == [
        first.id,
        second.id,
    ]


def test_a_durable_submit_is_refused_like_any_other(durable: RedisJobs) -> None:
    idempotency_key = IdempotencyKey("key-1", "print")
    durable.create(a_job(JobType.TRAINING), TRAINING, b"", idempotency_key)
    durable.create(a_job(), WORK), durable.create(a_job(), WORK)

    with pytest.raises(ConflictError):
        durable.create(a_job(JobType.TRAINING), TRAINING)
    with pytest.raises(LaneFullError):
        durable.create(a_job(), WORK)
    with pytest.raises(KeyReusedError):
        durable.create(a_job(), WORK, b"", replace(idempotency_key, fingerprint="another"))


def test_a_durable_job_survives_a_killed_server(own_server: RedisServer) -> None:
    require_fsync()
    with connect(own_server.url) as client:
        job = a_job()
        RedisJobs(client, durable=True).create(job, WORK, b"[[1]]")
        own_server.kill()
        own_server.start()

        assert RedisJobs(client).read_work(job.id) == (WORK, b"[[1]]")
        assert [stats.waiting for stats in RedisLanes(client).stats()] == [1]


def test_a_server_without_an_append_only_file_refuses_durable_jobs(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        client.config_set("appendonly", "no")

        with pytest.raises(UnavailableError, match="WAITAOF"):
            RedisJobs(client, durable=True).create(a_job(), WORK)


def test_a_submit_fails_when_the_disk_is_too_slow_and_a_repeat_finds_the_job(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_fsync()
    monkeypatch.setattr(RedisJobs, "FSYNC_TIMEOUT_MS", 50)
    with connect(own_server.url) as client:
        client.config_set("appendfsync", "no")
        jobs, job, idempotency_key = RedisJobs(client, durable=True), a_job(), IdempotencyKey("key-1", "print")

        with pytest.raises(UnavailableError, match="not on Redis's disk within 50 ms"):
            jobs.create(job, WORK, b"", idempotency_key)

        with pytest.raises(UnavailableError, match="not on Redis's disk within 50 ms"):
            jobs.find_repeated(idempotency_key)
        client.config_set("appendfsync", "always")
        assert until(lambda: replay_or_none(jobs, idempotency_key)) == job.id


def test_a_server_whose_disk_is_full_refuses_submits_and_keeps_what_it_took(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    if not mount(folder, 4 * 2**20):
        pytest.skip("a disk of its own cannot be mounted here")
    (folder / "ballast").write_bytes(bytes(2 * 2**20))
    server = redis_server_in(folder)
    server.start()
    taken: list[str] = []
    try:
        with connect(server.url) as client:
            jobs = RedisJobs(client)

            def is_refused() -> bool:
                job = a_job()
                try:
                    jobs.create(job, WORK, b"x" * 50_000)
                except UnavailableError as error:
                    return "MISCONF" in error.detail
                taken.append(job.id)
                return False

            until(is_refused, 30)
            (folder / "ballast").unlink()
            until(lambda: not is_refused(), 30)
            server.kill()
            server.start()

            assert [jobs.read(job_id).id for job_id in taken] == taken
    finally:
        server.stop()
        unmount(folder)


def replay_or_none(jobs: RedisJobs, idempotency_key: IdempotencyKey) -> str | None:
    try:
        return jobs.find_repeated(idempotency_key)
    except UnavailableError:
        return None


def everything(client: redis.Redis) -> dict[bytes, bytes | None]:
    """Every key with its DUMP."""
    return {key: client.dump(key) for key in client.scan_iter()}


def answers(jobs: RedisJobs) -> bool:
    try:
        jobs.ping()
    except UnavailableError:
        return False
    return True


# Retention


def test_ids_without_a_record_are_removed_from_the_index(client: redis.Redis, jobs: RedisJobs) -> None:
    past, kept = stored(jobs), stored(jobs)
    client.delete(f"qc:job:{past.id}")
    client.zadd("qc:dead", {past.id: NOW - 1, kept.id: NOW + 1})

    RedisJobMaintenance(client).drop_past_retention(NOW)

    assert client.zrange("qc:jobs", 0, -1) == [kept.id.encode()]
    assert client.zrange("qc:dead", 0, -1) == [kept.id.encode()]


def test_ids_behind_many_long_lived_jobs_are_removed_too(
    client: redis.Redis, jobs: RedisJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedisJobMaintenance, "IDS_PER_STEP", 3)
    monkeypatch.setattr(RedisJobMaintenance, "STEPS", 2)
    monkeypatch.setattr(RedisJobMaintenance, "MAX_STEPS", 3)
    kept = [stored(jobs).id for _ in range(7)]
    client.zadd("qc:jobs", {f"job_z{number}": 0 for number in range(20)})

    maintenance, counts = RedisJobMaintenance(client), []
    for _ in range(6):
        maintenance.drop_past_retention(NOW)
        counts.append(client.zcard("qc:jobs"))

    assert counts[0] == 27
    assert client.zrange("qc:jobs", 0, -1) == [job_id.encode() for job_id in sorted(kept)]


def test_one_message_may_name_several_jobs(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        listener = Listener(changed_ids(RedisJobs(client)))
        listener.next()

        client.publish(keys.CHANGES, "job_1 job_2 job_3")

        assert [listener.next() for _ in range(3)] == ["job_1", "job_2", "job_3"]
        listener.stop(lambda: client.publish(keys.CHANGES, "job_4"))


def test_a_listener_replaces_a_connection_whose_server_vanished(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeListener, "SILENCE_S", 0.2)
    proxy = Proxy(own_server.port)
    url = own_server.url.replace(f":{own_server.port}", f":{proxy.port}")
    with connect(url) as client, connect(own_server.url) as direct:
        listener = Listener(changed_ids(RedisJobs(client)))
        assert listener.next() == ""
        proxy.black_hole()

        assert listener.next() == ""
        direct.publish(keys.CHANGES, "job_1")
        assert listener.next() == "job_1"
        listener.stop(lambda: direct.publish(keys.CHANGES, "job_2"))
    proxy.close()


def test_a_listener_without_messages_keeps_its_connection(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChangeListener, "SILENCE_S", 0.05)
    with connect(own_server.url) as client:
        listener = Listener(changed_ids(RedisJobs(client)))
        assert listener.next() == ""

        with pytest.raises(queue.Empty):
            listener.next(deadline_s=0.5)
        client.publish(keys.CHANGES, "job_1")
        assert listener.next() == "job_1"
        listener.stop(lambda: client.publish(keys.CHANGES, "job_2"))


def test_a_thread_waits_for_a_free_connection(own_server: RedisServer) -> None:
    with connect(own_server.url, max_connections=2) as client:
        jobs = RedisJobs(client)

        assert at_once([jobs.ping] * 40) == [None] * 40
        assert len(client.client_list()) <= 2
