"""One suite for every ChunkProgressStore, in memory and in Redis."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.batches import MemoryChunkProgress
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.batches import RedisChunkProgress
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.job_maintenance import RedisJobMaintenance
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.domain.chunking import ChunkTotals, FileRange, chunk_id
from queuecast.domain.errors import ConflictError, Failure, UnavailableError
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.work import ChunkWork
from queuecast.ports.aliases import AliasStore
from queuecast.ports.batches import ChunkProgressStore
from queuecast.ports.jobs import JobFilter, JobStore
from queuecast.ports.lanes import Lanes
from tests.queuecast.adapters.store_steps import started, stored, taken
from tests.queuecast.domain.records import A_BATCH, NOW, RETENTION_S, a_job, a_move

BATCH = "job_1"
PLAN = 1
PROGRESS = Progress(0, 10, "rows", "predict", errors=0)


@dataclass(frozen=True)
class StoresOfBatches:
    progress: ChunkProgressStore
    jobs: JobStore
    lanes: Lanes
    aliases: AliasStore


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def stores(request: pytest.FixtureRequest) -> Iterator[StoresOfBatches]:
    if request.param == "memory":
        jobs = MemoryJobs()
        yield StoresOfBatches(MemoryChunkProgress(jobs), jobs, MemoryLanes(jobs), MemoryAliases(jobs))
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield StoresOfBatches(RedisChunkProgress(client), RedisJobs(client), RedisLanes(client), RedisAliases(client))


@pytest.fixture
def progress(stores: StoresOfBatches) -> ChunkProgressStore:
    return stores.progress


def a_chunk(index: int, batch_id: str = BATCH) -> tuple[Job, ChunkWork]:
    lane = str(Lane.of_chunks(batch_id))
    job = a_job(JobType.CHUNK, id=chunk_id(batch_id, PLAN, index), parent=batch_id, lane=lane).accepted()
    return job, ChunkWork(A_BATCH, PLAN, FileRange(index, 100 * index + 1, 100, 0, 1))


def test_a_new_plan_has_no_progress(progress: ChunkProgressStore) -> None:
    assert progress.done(BATCH, PLAN) == {}
    assert progress.totals(BATCH, PLAN) == ChunkTotals(0, 0, 0)
    assert not progress.is_done(BATCH, PLAN, 0)


def test_finished_chunks_add_up(progress: ChunkProgressStore) -> None:
    progress.record_done(BATCH, PLAN, 3, 100, 2)

    assert progress.record_done(BATCH, PLAN, 0, 40, 0) == ChunkTotals(2, 140, 2) == progress.totals(BATCH, PLAN)
    assert progress.done(BATCH, PLAN) == {3: (100, 2), 0: (40, 0)}
    assert [progress.is_done(BATCH, PLAN, index) for index in (0, 1, 3)] == [True, False, True]


def test_recording_a_chunk_again_changes_nothing(progress: ChunkProgressStore) -> None:
    progress.record_done(BATCH, PLAN, 3, 100, 2)

    assert progress.record_done(BATCH, PLAN, 3, 100, 2) == ChunkTotals(1, 100, 2)


def test_an_undone_chunk_is_not_counted_and_can_be_recorded_again(progress: ChunkProgressStore) -> None:
    progress.record_done(BATCH, PLAN, 3, 100, 2)
    progress.record_done(BATCH, PLAN, 4, 50, 1)

    progress.undo_done(BATCH, PLAN, 3)
    progress.undo_done(BATCH, PLAN, 3)

    assert progress.totals(BATCH, PLAN) == ChunkTotals(1, 50, 1)
    assert progress.record_done(BATCH, PLAN, 3, 100, 0) == ChunkTotals(2, 150, 1)


@pytest.mark.parametrize("other", [("job_2", PLAN), (BATCH, 2)])
def test_each_plan_of_each_batch_has_its_own_progress(progress: ChunkProgressStore, other: tuple[str, int]) -> None:
    progress.record_done(BATCH, PLAN, 0, 100, 0)

    assert progress.totals(*other) == ChunkTotals(0, 0, 0)


def test_a_batch_is_live_from_open_to_close(progress: ChunkProgressStore) -> None:
    progress.open(BATCH, PLAN)
    progress.open(BATCH, PLAN)
    progress.open("job_2", 4)

    assert progress.live() == {BATCH: PLAN, "job_2": 4}
    progress.close(BATCH, PLAN, NOW + RETENTION_S)
    assert progress.live() == {"job_2": 4}


def test_a_retry_can_read_the_progress_of_a_closed_batch(progress: ChunkProgressStore) -> None:
    progress.record_done(BATCH, PLAN, 0, 100, 0)

    progress.close(BATCH, PLAN, NOW + RETENTION_S)

    assert progress.done(BATCH, PLAN) == {0: (100, 0)}


def test_chunks_enter_their_lane_in_order_and_need_one_ring(stores: StoresOfBatches) -> None:
    must_ring = stores.progress.add([a_chunk(index) for index in range(3)])

    held = taken(stores.lanes, 10**9, lane=str(Lane.of_chunks(BATCH)))
    assert must_ring
    assert [each.job_id for each in held] == [a_chunk(index)[0].id for index in range(3)]
    assert stores.jobs.read_work(held[1].job_id) == (a_chunk(1)[1], b"")


def test_more_chunks_than_fit_into_one_call_all_enter_the_lane(stores: StoresOfBatches) -> None:
    count = 2 * 200 + 1

    assert stores.progress.add([a_chunk(index) for index in range(count)])

    assert [stats.waiting for stats in stores.lanes.stats()] == [count]


def test_existing_chunks_are_not_added_again(stores: StoresOfBatches) -> None:
    stores.progress.add([a_chunk(0), a_chunk(1)])
    (held,) = taken(stores.lanes, lane=str(Lane.of_chunks(BATCH)))
    stores.jobs.replace(stores.jobs.read(held.job_id).claimed("host:7", NOW), entry=held.entry)

    stores.progress.add([a_chunk(0), a_chunk(1), a_chunk(2)])

    (stats,) = stores.lanes.stats()
    assert (stats.waiting, stats.reserved) == (2, 1)
    assert stores.jobs.read(held.job_id).attempt == 1


def test_an_ended_chunk_can_be_added_again(stores: StoresOfBatches) -> None:
    stores.progress.add([a_chunk(0)])
    (held,) = taken(stores.lanes, lane=str(Lane.of_chunks(BATCH)))
    running = stores.jobs.read(held.job_id).claimed("host:7", NOW)
    stores.jobs.replace(running, entry=held.entry)
    stores.jobs.replace(running.failed(Failure("batch_ended", "no"), NOW, RETENTION_S), entry=held.entry)

    assert stores.progress.add([a_chunk(0)])

    assert stores.jobs.read(held.job_id) == a_chunk(0)[0]
    assert [each.job_id for each in taken(stores.lanes, lane=str(Lane.of_chunks(BATCH)))] == [held.job_id]


def test_chunks_are_read_by_id_and_missing_ones_left_out(stores: StoresOfBatches) -> None:
    stores.progress.add([a_chunk(0)])

    ids = [a_chunk(index)[0].id for index in range(2)]

    assert stores.progress.chunks(ids) == {ids[0]: a_chunk(0)[0]}
    assert stores.progress.chunks([]) == {}


def test_chunks_are_not_listed(stores: StoresOfBatches) -> None:
    job = stored(stores.jobs)

    stores.progress.add([a_chunk(0)])

    assert [each.id for each in stores.jobs.page(JobFilter(), None, 10).jobs] == [job.id]


def test_a_fanned_out_batch_leaves_its_lane_and_returns_to_join(stores: StoresOfBatches) -> None:
    batch = a_job(JobType.BATCH)
    stored(stores.jobs, batch)
    (held,) = taken(stores.lanes, lane="batch")
    running = stores.jobs.read(batch.id).claimed("host:7", NOW)
    stores.jobs.replace(running, entry=held.entry)

    fanned_out = running.fanned_out(PROGRESS, NOW)
    must_ring = stores.jobs.replace(fanned_out, entry=held.entry)

    assert (must_ring, stores.lanes.stats(), stores.lanes.renew([held])) == (False, [], [None])
    progressed = fanned_out.progressed(PROGRESS)
    stores.jobs.replace(progressed)
    assert stores.lanes.stats() == []
    assert stores.jobs.replace(progressed.ready_to_join(NOW))
    assert [each.job_id for each in taken(stores.lanes, lane="batch")] == [batch.id]


def test_a_batch_canceled_while_fanned_out_is_in_no_lane(stores: StoresOfBatches) -> None:
    batch = a_job(JobType.BATCH)
    stored(stores.jobs, batch)
    (held,) = taken(stores.lanes, lane="batch")
    fanned_out = stores.jobs.read(batch.id).claimed("host:7", NOW)
    stores.jobs.replace(fanned_out, entry=held.entry)
    fanned_out = fanned_out.fanned_out(PROGRESS, NOW)
    stores.jobs.replace(fanned_out, entry=held.entry)

    stores.jobs.replace(fanned_out.cancel_requested(NOW, RETENTION_S))

    assert stores.jobs.read(batch.id).state is State.CANCELED
    assert stores.lanes.stats() == []


@pytest.mark.redis
def test_progress_expires(redis_url: str) -> None:
    with connect(redis_url) as client:
        progress = RedisChunkProgress(client)
        progress.open(BATCH, PLAN)
        progress.record_done(BATCH, PLAN, 0, 1, 0)
        unclosed_s = client.ttl(f"qc:batch:{BATCH}:{PLAN}")
        progress.close(BATCH, PLAN, NOW)

        assert 7 * 86400 < unclosed_s <= 8 * 86400
        assert client.expiretime(f"qc:batch:{BATCH}:{PLAN}") == NOW


@pytest.mark.redis
def test_a_restore_does_not_change_a_fanned_out_batch(redis_url: str) -> None:
    with connect(redis_url) as client:
        jobs = RedisJobs(client)
        running = stored(jobs, a_job(JobType.BATCH)).claimed("host:7", NOW)
        jobs.replace(running)
        fanned_out = running.fanned_out(PROGRESS, NOW)
        jobs.replace(fanned_out)

        assert RedisJobMaintenance(client).requeue_all(NOW, RETENTION_S) == 0
        assert jobs.read(fanned_out.id) == fanned_out


@pytest.mark.redis
def test_calls_raise_unavailable_while_the_server_is_away() -> None:
    progress = RedisChunkProgress(redis.Redis(port=1, socket_connect_timeout=1))

    for call in (progress.live, lambda: progress.record_done(BATCH, PLAN, 0, 1, 0), lambda: progress.add([a_chunk(0)])):
        with pytest.raises(UnavailableError):
            call()


def test_a_batch_whose_chunks_run_keeps_its_version(stores: StoresOfBatches) -> None:
    held, run = started(stores.jobs, stores.lanes, a_job(JobType.BATCH, version=2))
    stores.progress.open(run.id, PLAN)
    fanned_out = run.fanned_out(PROGRESS, NOW)
    stores.jobs.replace(fanned_out, None, held.entry)
    stores.progress.add([a_chunk(0, run.id), a_chunk(1, run.id)])
    deletion = a_move(1, 2, "", "delete_version")

    with pytest.raises(ConflictError, match=f"^1 job that has not ended needs version 2 of model titanic: {run.id}$"):
        stores.aliases.delete("titanic", deletion)
    stores.jobs.replace(fanned_out.failed(Failure("run_failed", "no"), NOW, RETENTION_S))
    stores.aliases.delete("titanic", deletion)

    assert stores.aliases.read("titanic").deleted == {2}
