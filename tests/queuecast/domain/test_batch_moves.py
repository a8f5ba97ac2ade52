"""A fanned-out batch, which no worker holds: its moves, and the effect of the end of a chunk."""

from dataclasses import replace

import pytest

from queuecast.domain.chunking import chunk_id
from queuecast.domain.errors import Failure, IllegalMoveError
from queuecast.domain.job import CHUNK_RETENTION_S, Job, JobType, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.timeline import Event
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

LATER = NOW + 60
PROGRESS = Progress(0, 900, "rows", "predict", errors=0)
FAILURE = Failure("prediction_failed", "rows 1 to 300: no")


def running() -> Job:
    return a_job(JobType.BATCH).accepted().claimed("host:7", NOW)


def fanned_out() -> Job:
    return running().fanned_out(PROGRESS, NOW)


def a_chunk(**given: object) -> Job:
    batch = running()
    given = {"id": chunk_id(batch.id, 1, 0), "parent": batch.id, "lane": str(Lane.of_chunks(batch.id))} | given
    return a_job(JobType.CHUNK, **given).accepted()


def test_a_batch_that_is_fanned_out_runs_on_without_a_worker() -> None:
    job = fanned_out()

    assert (job.state, job.is_fanned_out, job.worker, job.attempt, job.revision) == (State.RUNNING, True, None, 1, 3)
    assert (job.progress, job.started_at) == (PROGRESS, NOW)
    assert [entry.event for entry in job.timeline] == [Event.ACCEPTED, Event.CLAIMED, Event.FANNED_OUT]


def test_a_batch_is_fanned_out_once() -> None:
    with pytest.raises(IllegalMoveError, match="fanned out already"):
        fanned_out().fanned_out(PROGRESS, LATER)


@pytest.mark.parametrize("state", [State.QUEUED, State.CANCELING])
def test_only_a_running_batch_is_fanned_out(state: State) -> None:
    job = a_job(JobType.BATCH).accepted() if state is State.QUEUED else running().cancel_requested(NOW, RETENTION_S)

    with pytest.raises(IllegalMoveError):
        job.fanned_out(PROGRESS, LATER)


def test_a_batch_that_is_fanned_out_is_canceled_at_once() -> None:
    canceled = fanned_out().cancel_requested(LATER, RETENTION_S)

    assert (canceled.state, canceled.finished_at, canceled.is_fanned_out) == (State.CANCELED, LATER, False)
    assert canceled.delete_at == LATER + RETENTION_S


def test_a_batch_whose_chunks_are_done_waits_for_a_worker_and_loses_no_attempt() -> None:
    joinable = fanned_out().ready_to_join(LATER)

    assert (joinable.state, joinable.queued_at, joinable.is_fanned_out) == (State.QUEUED, LATER, False)
    assert (joinable.lost_attempts, joinable.not_before) == (0, None)
    assert joinable.claimed("host:8", LATER).attempt == 2


def test_a_batch_that_waits_to_be_joined_does_not_expire() -> None:
    joinable = replace(fanned_out(), expires_at=NOW + 1).ready_to_join(LATER)

    assert not joinable.is_due_to_expire(LATER)


@pytest.mark.parametrize("move", ["ready_to_join", "given_up"])
@pytest.mark.parametrize("state", State)
def test_only_a_batch_that_is_fanned_out_is_joined_or_given_up(move: str, state: State) -> None:
    queued = a_job(JobType.BATCH).accepted()
    job = {
        State.QUEUED: queued,
        State.RUNNING: running(),
        State.CANCELING: running().cancel_requested(NOW, RETENTION_S),
        State.CANCELED: queued.cancel_requested(NOW, RETENTION_S),
        State.EXPIRED: queued.expired(NOW, RETENTION_S),
        State.SUCCEEDED: running().succeeded(NOW, RETENTION_S),
        State.FAILED: running().failed(FAILURE, NOW, RETENTION_S),
    }[state]

    with pytest.raises(IllegalMoveError):
        job.ready_to_join(LATER) if move == "ready_to_join" else job.given_up(FAILURE, LATER, RETENTION_S)


def test_a_batch_of_which_a_chunk_was_lost_for_good_is_the_dead_letter() -> None:
    given_up = fanned_out().given_up(FAILURE, LATER, 7 * RETENTION_S)

    assert (given_up.state, given_up.is_dead_letter, given_up.failure) == (State.FAILED, True, FAILURE)
    assert (given_up.is_fanned_out, given_up.delete_at) == (False, LATER + 7 * RETENTION_S)


def test_a_chunk_that_is_lost_for_good_is_no_dead_letter_itself() -> None:
    chunk = a_chunk(max_attempts=1).claimed("host:7", NOW).lost(FAILURE, LATER, 0.0, 7 * RETENTION_S)

    assert (chunk.state, chunk.is_dead_letter, chunk.lost_attempts) == (State.FAILED, False, 1)


@pytest.mark.parametrize("end", ["succeeded", "failed", "lost"])
def test_an_ended_chunk_is_kept_for_minutes_only(end: str) -> None:
    chunk = a_chunk(max_attempts=1).claimed("host:7", NOW)

    ended = {
        "succeeded": lambda: chunk.succeeded(LATER, RETENTION_S),
        "failed": lambda: chunk.failed(FAILURE, LATER, RETENTION_S),
        "lost": lambda: chunk.lost(FAILURE, LATER, 0.0, RETENTION_S),
    }[end]()

    assert ended.delete_at == LATER + CHUNK_RETENTION_S


def test_a_retry_of_a_batch_is_not_fanned_out() -> None:
    again = fanned_out().cancel_requested(LATER, RETENTION_S).retried_as("job_9", LATER, 3)

    assert (again.state, again.is_fanned_out, again.lane) == (State.QUEUED, False, "batch")


def test_a_chunk_has_the_same_id_each_time_and_another_for_another_plan_or_place() -> None:
    ids = [chunk_id("job_1", 1, 0), chunk_id("job_1", 1, 0), chunk_id("job_1", 2, 0), chunk_id("job_1", 1, 1)]

    assert len(set(ids)) == 3
    assert ids[0] == ids[1]


def test_the_chunks_of_a_batch_wait_in_a_lane_of_their_own_and_are_taken_one_at_a_time() -> None:
    lane = Lane.of_chunks("job_1")

    assert Lane.parse(str(lane)).type is JobType.CHUNK
    assert lane.next_limit(1, 1, 0.0) == 1
    assert lane != Lane.of_chunks("job_2")


@pytest.mark.parametrize("lane", [Lane(JobType.BATCH), Lane.of_chunks("job_1")])
def test_a_single_prediction_goes_before_batches(lane: Lane) -> None:
    assert lane.urgency > Lane.parse("prediction/titanic/1/predict").urgency
