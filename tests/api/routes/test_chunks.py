"""A chunk is a part of a batch: no request reads or changes one, in either store."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask.testing import FlaskClient

from queuecast.adapters.ids import new_id
from queuecast.adapters.memory.batches import MemoryChunkProgress
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.adapters.redis.batches import RedisChunkProgress
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.domain.chunking import chunk_id
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.lane import Lane
from queuecast.ports.batches import ChunkProgressStore
from queuecast.ports.jobs import JobFilter, JobStore
from queuecast.ports.lanes import Lanes
from tests.api.conftest import Gateway
from tests.queuecast.adapters.store_steps import FAILURE
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job, work_of

REQUESTS = {
    "read": ("GET", "/v1/jobs/{}", {}),
    "wait": ("GET", "/v1/jobs/{}", {"Prefer": "wait=5"}),
    "wait for a change": ("GET", "/v1/jobs/{}", {"Prefer": "wait=5", "If-None-Match": 'W/"1"'}),
    "result": ("GET", "/v1/jobs/{}/result", {}),
    "errors": ("GET", "/v1/jobs/{}/errors", {}),
    "events": ("GET", "/v1/jobs/{}/events", {}),
    "cancel": ("POST", "/v1/jobs/{}/cancel", {}),
    "retry": ("POST", "/v1/jobs/{}/retry", {}),
    "replay": ("POST", "/v1/dead-letters/{}/replay", {}),
    "delete": ("DELETE", "/v1/jobs/{}", {}),
}
STATES = (State.QUEUED, State.SUCCEEDED, State.FAILED)


@dataclass(frozen=True)
class Place:
    jobs: JobStore
    lanes: Lanes
    progress: ChunkProgressStore
    http: FlaskClient

    def chunk(self, state: State) -> Job:
        batch_id = new_id("job")
        job = a_job(
            JobType.CHUNK, id=chunk_id(batch_id, 1, 0), parent=batch_id, lane=str(Lane.of_chunks(batch_id))
        ).accepted()
        self.progress.add([(job, work_of(JobType.CHUNK))])  # type: ignore[list-item]
        if state is not State.QUEUED:
            job = job.claimed("host:7", NOW)
            self.jobs.replace(job)
            is_good = state is State.SUCCEEDED
            job = job.succeeded(NOW, RETENTION_S) if is_good else job.failed(FAILURE, NOW, RETENTION_S)
            self.jobs.replace(job, b'{"rows": 100, "errors": 0}' if is_good else None)
        return job


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def place(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Place]:
    if request.param == "memory":
        jobs = gateway.jobs
        yield Place(jobs, MemoryLanes(jobs), MemoryChunkProgress(jobs), gateway.app().test_client())
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        in_redis, lanes = RedisJobs(client), RedisLanes(client)
        http = gateway.app(jobs=in_redis, lanes=lanes).test_client()
        yield Place(in_redis, lanes, RedisChunkProgress(client), http)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_for_a_chunk_is_a_404_and_changes_nothing(
    place: Place, state: State, method: str, path: str, headers: dict[str, str]
) -> None:
    chunk = place.chunk(state)

    answer = place.http.open(path.format(chunk.id), method=method, headers=headers)

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_job")
    assert place.jobs.read(chunk.id) == chunk
    assert place.jobs.page(JobFilter(), None, 10).jobs == []
    assert [stats.waiting for stats in place.lanes.stats()] == ([1] if state is State.QUEUED else [])
    assert place.http.get("/v1/jobs").json == {"data": [], "next_cursor": None}


def test_lists_leave_out_a_chunk_that_an_earlier_version_retried(place: Place) -> None:
    listed, chunk = a_job().accepted(), a_job(JobType.CHUNK, max_attempts=1).accepted()
    for job in (listed, chunk):
        place.jobs.create(job, work_of(job.type))
    running = chunk.claimed("host:7", NOW)
    lost = running.lost(FAILURE, NOW, 0.5, RETENTION_S)
    for job in (running, lost):
        place.jobs.replace(job)
    assert lost.is_dead_letter

    jobs, letters, chunks = (place.http.get(path) for path in ("/v1/jobs", "/v1/dead-letters", "/v1/jobs?type=chunk"))

    assert [job["id"] for job in jobs.json["data"]] == [listed.id]
    assert (letters.json, chunks.json) == ({"data": [], "next_cursor": None},) * 2
