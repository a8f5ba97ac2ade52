"""The loop that changes a job's record: it never overwrites another writer, and rings for a lane that needs it."""

import pytest

from queuecast.adapters.memory.doorbell import MemoryDoorbell
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.domain.errors import IllegalMoveError
from queuecast.domain.job import Job, Progress, State
from queuecast.domain.work import Method, PredictionWork
from queuecast.job_updates import update_job
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

LATER = NOW + 10
WORKER = "host:7"


@pytest.fixture
def jobs() -> MemoryJobs:
    return MemoryJobs()


@pytest.fixture
def doorbell() -> MemoryDoorbell:
    return MemoryDoorbell()


@pytest.fixture
def job(jobs: MemoryJobs) -> Job:
    accepted = a_job()
    jobs.create(accepted, PredictionWork(Method.PREDICT, 1), b"[[1.0]]")
    return accepted


def claimed(jobs: MemoryJobs, job: Job) -> str:
    """Claims the job; returns its lane entry."""
    (held,), _ = MemoryLanes(jobs).reserve(job.lane, WORKER, 1, clears_bell=True)
    jobs.replace(jobs.read(job.id).claimed(WORKER, LATER), entry=held.entry)
    return held.entry


def test_the_revision_that_was_written_is_returned(jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job) -> None:
    updated = update_job(jobs, doorbell, job.id, lambda present: present.claimed(WORKER, LATER))

    assert updated == jobs.read(job.id)
    assert updated is not None
    assert (updated.state, updated.revision) == (State.RUNNING, 2)
    assert doorbell.rung == []


def test_nothing_is_written_when_the_decision_is_none(jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job) -> None:
    assert update_job(jobs, doorbell, job.id, lambda present: None) is None
    assert jobs.read(job.id) == job


def test_a_decision_is_made_again_when_another_writer_was_first(
    jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job
) -> None:
    seen = []

    def decide(present: Job) -> Job:
        seen.append(present.state)
        if len(seen) == 1:
            jobs.replace(present.claimed(WORKER, LATER))
        return present.cancel_requested(LATER, RETENTION_S)

    updated = update_job(jobs, doorbell, job.id, decide)

    assert seen == [State.QUEUED, State.RUNNING]
    assert updated is not None
    assert updated.state is State.CANCELING


def test_the_lane_is_rung_for_when_the_job_waits_again(jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job) -> None:
    entry = claimed(jobs, job)

    update_job(jobs, doorbell, job.id, lambda present: present.handed_back(LATER, RETENTION_S), entry=entry)

    assert doorbell.rung == [job.lane]


def test_a_job_that_is_gone_is_not_written(jobs: MemoryJobs, doorbell: MemoryDoorbell) -> None:
    assert update_job(jobs, doorbell, "job_unknown", lambda present: present) is None


def test_a_job_that_left_its_lane_entry_is_not_written(jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job) -> None:
    entry = claimed(jobs, job)
    jobs.replace(jobs.read(job.id).handed_back(LATER, RETENTION_S), entry=entry)
    claimed(jobs, job)
    present = jobs.read(job.id)

    updated = update_job(jobs, doorbell, job.id, lambda job: job.progressed(Progress(1, 2, "rows")), entry=entry)

    assert updated is None
    assert jobs.read(job.id) == present


@pytest.mark.parametrize(("succeeds", "expected"), [(True, b"{}"), (False, None)])
def test_only_a_job_that_succeeded_has_its_result_stored(
    jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job, succeeds: bool, expected: bytes | None
) -> None:
    entry = claimed(jobs, job)

    def decide(present: Job) -> Job:
        return present.succeeded(LATER, RETENTION_S) if succeeds else present.handed_back(LATER, RETENTION_S)

    update_job(jobs, doorbell, job.id, decide, entry=entry, result=b"{}")

    assert jobs.read_with_result(job.id)[1] == expected


def test_a_move_that_the_job_does_not_allow_raises(jobs: MemoryJobs, doorbell: MemoryDoorbell, job: Job) -> None:
    with pytest.raises(IllegalMoveError):
        update_job(jobs, doorbell, job.id, lambda present: present.succeeded(LATER, RETENTION_S))
