"""The lanes in Redis: keys of empty lanes, entry ids, dead workers, memory that is used up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.domain.job import JobType, State
from tests.queuecast.adapters.store_steps import ENDS, LANE, LOSS, claimed, ended, started, stored, taken
from tests.queuecast.adapters.waits import until
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

pytestmark = pytest.mark.redis

RESULT = b'{"predictions":[1]}'


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def jobs(client: redis.Redis) -> RedisJobs:
    return RedisJobs(client)


@pytest.fixture
def lanes(client: redis.Redis) -> RedisLanes:
    return RedisLanes(client)


def keys_about_lanes(client: redis.Redis) -> list[bytes]:
    patterns = ("qc:lane:*", "qc:lanes", "qc:bells", "qc:delayed", "qc:expiring", "qc:training:*")
    return [key for pattern in patterns for key in client.keys(pattern)]


def consumers(client: redis.Redis) -> list[bytes]:
    return sorted(each["name"] for each in client.xinfo_consumers(f"qc:lane:{LANE}", "workers"))


# Keys


@pytest.mark.parametrize("end", ENDS)
def test_an_emptied_lane_leaves_no_key_no_name_and_no_bell(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes, end: str
) -> None:
    ended(jobs, lanes, end, a_job(expires_at=NOW + 1))

    assert keys_about_lanes(client) == []


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_job_leaves_only_its_record_its_tombstone_and_its_id_in_the_index(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes, end: str
) -> None:
    job = ended(jobs, lanes, end)

    expected = {f"qc:job:{job.id}", f"qc:gone:{job.id}", "qc:jobs", "qc:entries"}
    expected |= {"qc:dead"} if end == "dead letter" else set()
    assert {key.decode() for key in client.scan_iter()} == expected


def test_a_delayed_job_is_in_no_lane(client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes) -> None:
    held, running = started(jobs, lanes)

    jobs.replace(running.lost(LOSS, NOW, 5.0, RETENTION_S), entry=held.entry)

    assert keys_about_lanes(client) == [b"qc:delayed"]
    assert client.zrange("qc:delayed", 0, -1, withscores=True) == [(running.id.encode(), NOW + 5)]


def test_a_lane_has_a_key_and_a_name_while_it_has_a_job(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes
) -> None:
    first, second = stored(jobs), stored(jobs)
    (held,) = taken(lanes)
    jobs.replace(claimed(jobs, held).succeeded(NOW, RETENTION_S), RESULT, held.entry)
    before = client.smembers("qc:lanes"), client.exists(f"qc:lane:{LANE}")

    jobs.replace(second.cancel_requested(NOW, RETENTION_S))

    assert before == ({LANE.encode()}, 1)
    assert (client.smembers("qc:lanes"), client.exists(f"qc:lane:{LANE}")) == (set(), 0)
    assert jobs.read(first.id).state is State.SUCCEEDED


def test_an_entry_id_is_never_reused_when_a_lane_empties_and_fills_quickly(jobs: RedisJobs, lanes: RedisLanes) -> None:
    """A new stream starts its own count, so an id could come again within a millisecond."""
    stored(jobs)
    seen = []
    for _ in range(200):
        (held,) = taken(lanes)
        seen.append(held.entry)
        lanes.requeue(held)

    assert len(set(seen)) == 200


def test_jobs_enter_a_lane_after_the_clock_of_the_server_was_set_back(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes
) -> None:
    first = stored(jobs)
    client.xadd(f"qc:lane:{LANE}", {"job": first.id}, id="9999999999999-0")

    second = stored(jobs)

    assert [each.job_id for each in taken(lanes, 5)][-1] == second.id


# Dead workers


def test_a_silent_worker_that_holds_nothing_is_forgotten(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes
) -> None:
    first, _ = stored(jobs), stored(jobs)
    (held,) = taken(lanes, worker="gone")
    taken(lanes, worker="busy")
    jobs.replace(first.cancel_requested(NOW, RETENTION_S))
    assert lanes.renew([held]) == [None]

    def is_forgotten() -> bool:
        lanes.forget_workers(silent_s=0.01)
        return consumers(client) == [b"busy"]

    assert until(is_forgotten)


def test_a_worker_that_claimed_lately_is_not_forgotten(client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes) -> None:
    first, _ = stored(jobs), stored(jobs)
    taken(lanes, worker="idle")
    jobs.replace(first.cancel_requested(NOW, RETENTION_S))

    lanes.forget_workers(3600.0)

    assert consumers(client) == [b"idle"]


# Memory used up


def test_an_accepted_job_runs_to_its_end_when_memory_is_used_up(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs, lanes = RedisJobs(client), RedisLanes(client)
        made = [stored(jobs).id for _ in range(4)]
        client.config_set("maxmemory", 1)

        first, second, third, fourth = taken(lanes, 4)
        done = claimed(jobs, first).succeeded(NOW, RETENTION_S)
        jobs.replace(done, RESULT, first.entry)
        jobs.replace(claimed(jobs, second).lost(LOSS, NOW, 5.0, RETENTION_S), entry=second.entry)
        jobs.replace(claimed(jobs, third).handed_back(NOW, RETENTION_S), entry=third.entry)
        lanes.requeue(fourth)
        lanes.record_ring(LANE)
        lanes.enqueue_due(NOW + 5)
        again = taken(lanes, 5)

        assert jobs.read_with_result(done.id) == (done, RESULT)
        assert sorted(each.job_id for each in again) == sorted(made[1:])
        assert lanes.renew(again) == [State.QUEUED] * 3
        assert [(each.waiting, each.reserved) for each in lanes.stats()] == [(0, 3)]


def test_an_ended_job_can_be_deleted_when_memory_is_used_up(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        jobs = RedisJobs(client)
        last = ended(jobs, RedisLanes(client), "failed")
        client.config_set("maxmemory", 1)

        jobs.delete(last.id)

        assert client.exists(f"qc:job:{last.id}") == 0


@pytest.mark.parametrize("field", ["record", "work"])
def test_a_job_that_cannot_be_decoded_is_reserved_with_the_others(
    client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes, field: str
) -> None:
    first, broken, last = (stored(jobs) for _ in range(3))
    client.hset(f"qc:job:{broken.id}", field, "{}")

    reserved, _ = lanes.reserve(LANE, "host:7", 5, clears_bell=True)

    assert [each.job_id for each in reserved] == [first.id, broken.id, last.id]
    assert [each.snapshot is None for each in reserved] == [False, True, False]


def test_a_waiting_worker_is_woken_by_the_next_job(client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes) -> None:
    stored(jobs)
    lanes.reserve(LANE, "host:7", 1, clears_bell=True, stays=True)
    with ThreadPoolExecutor(1) as pool:
        lingering = pool.submit(lanes.wait_for_job, LANE, "host:7", 30.0)
        until(lambda: client.hexists("qc:lingering", LANE))
        rings = [jobs.create(a_job(), work_of(JobType.PREDICTION)).must_ring for _ in range(3)]

        assert lingering.result(10)
    assert rings == [False] * 3
    assert client.keys("qc:wake:*") == []


def test_the_attendance_of_a_dead_worker_is_forgotten(client: redis.Redis, jobs: RedisJobs, lanes: RedisLanes) -> None:
    stored(jobs)
    lanes.reserve(LANE, "host:7", 1, clears_bell=True, stays=True)
    lanes.wait_for_job(LANE, "host:7", 0.01)

    lanes.forget_workers(3600.0)
    kept = [client.hkeys(key) for key in ("qc:attended", "qc:lingering")]
    lanes.forget_workers(-1.0)

    assert kept == [[LANE.encode()]] * 2
    assert [client.hkeys(key) for key in ("qc:attended", "qc:lingering")] == [[], []]
