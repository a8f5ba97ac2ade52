"""The store of outcomes, in memory and in Redis."""

from collections.abc import Iterator

import pytest

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.live_outcomes import MemoryLiveOutcomes
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.versions.live_outcomes import RedisLiveOutcomes
from queuecast.domain.errors import ConflictError, UnknownJobError
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.live.live_rows import WINDOW_ROWS
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports.jobs import JobStore
from queuecast.ports.live_outcomes import LiveOutcomeStore

Stores = tuple[LiveOutcomeStore, JobStore]
JOB, OTHER = "job_00000001-0000-7000-8000-000000000000", "job_00000002-0000-7000-8000-000000000000"


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """With two jobs."""
    if request.param == "memory":
        memory = MemoryJobs(100)
        yield MemoryLiveOutcomes(memory), _with_jobs(memory)
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisLiveOutcomes(client), _with_jobs(RedisJobs(client, max_lane_jobs=100))


def _with_jobs(jobs: JobStore) -> JobStore:
    for job_id in (JOB, OTHER):
        job = Job(job_id, JobType.PREDICTION, ModelRef("m", 1), 0.0, 3, "prediction/m/1/predict", 60.0)
        jobs.create(job.accepted(), PredictionWork(Method.PREDICT, 1), b"[[1]]")
    return jobs


def test_rows_are_in_the_window_of_their_version(stores: Stores) -> None:
    outcomes, _ = stores

    assert outcomes.add(JOB, "a", "m", {1: [[1, 1.5], [2, 2.5]], 2: [[1, 0.5]]}, 10.0)
    assert outcomes.add(OTHER, "a", "m", {1: [[3, 3.5]]}, 20.0)

    windows = outcomes.windows("m", 5)
    assert sorted(windows) == [1, 2]
    assert windows[1].rows == ([3, 3.5], [2, 2.5], [1, 1.5])
    assert (windows[1].total, windows[1].last_at, windows[2].total, windows[2].last_at) == (3, 20.0, 1, 10.0)
    assert outcomes.windows("other", 5) == {}


def test_the_same_outcomes_again_change_nothing_and_others_are_refused(stores: Stores) -> None:
    outcomes, _ = stores
    outcomes.add(JOB, "a", "m", {1: [[1, 1.5]]}, 10.0)

    assert not outcomes.add(JOB, "a", "m", {1: [[1, 1.5]]}, 20.0)
    with pytest.raises(ConflictError, match="has other outcomes already"):
        outcomes.add(JOB, "b", "m", {1: [[2, 1.5]]}, 20.0)

    assert outcomes.windows("m", 5)[1].total == 1


def test_a_window_keeps_the_newest_rows(stores: Stores) -> None:
    outcomes, _ = stores
    outcomes.add(JOB, "a", "m", {1: [[at, at] for at in range(WINDOW_ROWS)]}, 10.0)
    outcomes.add(OTHER, "a", "m", {1: [[-1, -1], [-2, -2]]}, 20.0)

    window = outcomes.windows("m", 5)[1]

    assert (len(window.rows), window.total) == (WINDOW_ROWS, WINDOW_ROWS + 2)
    assert (window.rows[0], window.rows[1], window.rows[-1]) == ([-2, -2], [-1, -1], [2, 2])


def test_answers_of_shadows_are_kept_with_their_job(stores: Stores) -> None:
    outcomes, jobs = stores

    outcomes.keep_answers(2, {JOB: b"{}", "job_00000009-0000-7000-8000-000000000000": b"{}"})
    outcomes.keep_answers(3, {JOB: b"[]"})

    assert outcomes.kept_answers(JOB) == {2: b"{}", 3: b"[]"}
    assert outcomes.kept_answers(OTHER) == {}
    assert outcomes.kept_answers("job_00000009-0000-7000-8000-000000000000") == {}
    assert jobs.read(JOB).id == JOB


def test_a_job_without_a_record_takes_no_outcomes(stores: Stores) -> None:
    outcomes, _ = stores

    with pytest.raises(UnknownJobError):
        outcomes.add("job_00000009-0000-7000-8000-000000000000", "a", "m", {1: [[1, 1]]}, 1.0)

    assert outcomes.windows("m", 5) == {}


def test_versions_with_the_newest_outcomes_come_first(stores: Stores) -> None:
    outcomes, _ = stores
    outcomes.add(JOB, "a", "m", {1: [[1, 1]], 2: [[1, 1]]}, 10.0)
    outcomes.add(OTHER, "a", "m", {2: [[1, 1]], 3: [[1, 1]]}, 20.0)

    assert set(outcomes.windows("m", 2)) == {2, 3}
    assert list(outcomes.windows("m", 5))[-1] == 1
