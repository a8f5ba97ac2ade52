"""Runs that end without an outcome: the number of retries, the end of the last one, and the timeline."""

from dataclasses import replace

import pytest

from queuecast.domain.errors import IllegalMoveError
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.timeline import MAX_EVENTS, Event
from tests.queuecast.domain.job_states import DELAY_S, FAILURE, LATER, LOSS, job_in, lost, lost_times
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

RETRYABLE = (State.FAILED, State.CANCELED, State.EXPIRED)


# Losses


@pytest.mark.parametrize("max_attempts", [1, 2, 3, 5])
def test_a_job_is_retried_until_its_attempts_are_used_up(max_attempts: int) -> None:
    states = [lost_times(count, max_attempts).state for count in range(1, max_attempts + 1)]

    assert states == [State.QUEUED] * (max_attempts - 1) + [State.FAILED]


@pytest.mark.parametrize(("losses", "expected"), [(1, False), (2, False), (3, True)])
def test_a_dead_letter_is_a_job_whose_last_attempt_was_lost(losses: int, expected: bool) -> None:
    assert lost_times(losses, 3).is_dead_letter is expected


def test_a_job_with_more_losses_than_attempts_is_a_dead_letter_too() -> None:
    """A setting that was lowered must not let a job run without end."""
    running = replace(job_in(State.RUNNING), lost_attempts=7, max_attempts=3)

    assert (lost(running).state, lost(running).is_dead_letter) == (State.FAILED, True)


def test_a_dead_letter_has_the_cause_and_time_of_its_last_loss() -> None:
    letter = lost_times(3, 3)

    assert (letter.failure, letter.worker, letter.attempt, letter.lost_attempts) == (LOSS, "host:7", 3, 3)
    assert (letter.finished_at, letter.delete_at, letter.not_before) == (LATER, LATER + RETENTION_S, None)


def test_the_timeline_of_a_dead_letter_has_its_last_loss_and_its_end() -> None:
    last = lost_times(1, 1).timeline

    assert [(entry.event, entry.detail) for entry in last[-2:]] == [
        (Event.LOST, LOSS.detail),
        (Event.FINISHED, "failed: worker_lost"),
    ]


def test_a_failure_on_the_last_attempt_is_no_dead_letter() -> None:
    running = lost_times(2, 3).claimed("host:7", NOW)

    failed = running.failed(FAILURE, LATER, RETENTION_S)

    assert (failed.state, failed.is_dead_letter) == (State.FAILED, False)


def test_a_job_that_is_retried_has_no_failure() -> None:
    assert lost_times(1, 3).failure is None


def test_a_job_can_succeed_on_its_last_attempt() -> None:
    ended = lost_times(2, 3).claimed("host:7", NOW).succeeded(LATER, RETENTION_S)

    assert (ended.state, ended.attempt, ended.lost_attempts) == (State.SUCCEEDED, 3, 2)


def test_each_loss_counts_and_the_delay_is_the_given_one() -> None:
    waiting = lost_times(2, 3)

    assert (waiting.lost_attempts, waiting.attempt, waiting.not_before) == (2, 2, LATER + DELAY_S)


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_job_that_was_asked_to_stop_and_is_lost_is_canceled_and_never_a_dead_letter(max_attempts: int) -> None:
    ended = lost(job_in(State.CANCELING, max_attempts))

    assert (ended.state, ended.is_dead_letter, ended.failure) == (State.CANCELED, False, None)


# Being handed back


def test_handing_a_job_back_never_uses_up_an_attempt() -> None:
    job = a_job(max_attempts=1).accepted()

    for _ in range(50):
        job = job.claimed("host:7", NOW).handed_back(LATER, RETENTION_S)

    assert (job.state, job.lost_attempts, job.attempt, job.not_before) == (State.QUEUED, 0, 50, None)


def test_a_canceling_job_that_is_handed_back_is_canceled() -> None:
    assert job_in(State.CANCELING).handed_back(LATER, RETENTION_S).state is State.CANCELED


def test_the_run_after_a_handover_has_a_fence_of_its_own() -> None:
    first = job_in(State.RUNNING)

    second = first.handed_back(LATER, RETENTION_S).claimed("host:8", LATER)

    assert (second.is_run_by(first.attempt), second.is_run_by(second.attempt)) == (False, True)


# The timeline


def claimed_and_handed_back(claims: int) -> Job:
    """A job that was claimed and handed back `claims` times, with two timeline entries each time."""
    job = a_job().accepted()
    for number in range(claims):
        job = job.claimed(f"host:{number}", NOW).handed_back(LATER, RETENTION_S)
    return job


@pytest.mark.parametrize(("claims", "length"), [(0, 1), (31, MAX_EVENTS - 1), (32, MAX_EVENTS), (200, MAX_EVENTS)])
def test_a_timeline_grows_to_its_bound_and_no_further(claims: int, length: int) -> None:
    assert len(claimed_and_handed_back(claims).timeline) == length


def test_a_full_timeline_keeps_the_first_entry_and_the_latest() -> None:
    timeline = claimed_and_handed_back(200).timeline

    assert timeline[0].event is Event.ACCEPTED
    assert [entry.attempt for entry in timeline[-2:]] == [200, 200]
    # 64 in all: the first and the last 63.
    assert [entry.attempt for entry in timeline[1:]] == [169, *(n for n in range(170, 201) for _ in range(2))]


def test_a_full_timeline_has_the_end_of_the_job() -> None:
    ended = claimed_and_handed_back(200).cancel_requested(LATER, RETENTION_S)

    assert (len(ended.timeline), ended.timeline[-1].event) == (MAX_EVENTS, Event.FINISHED)


# A new job for the same work


@pytest.mark.parametrize("state", [state for state in State if state not in RETRYABLE])
def test_a_job_that_succeeded_or_is_not_final_cannot_be_retried(state: State) -> None:
    job = job_in(state)

    with pytest.raises(IllegalMoveError, match=f"{job.id} is {state} and cannot be retried"):
        job.retried_as("job_2", LATER, 3)


@pytest.mark.parametrize("state", RETRYABLE)
def test_a_retry_is_a_new_job_from_the_start(state: State) -> None:
    again = job_in(state).retried_as("job_2", LATER, 5)

    assert (again.id, again.state, again.revision, again.attempt, again.lost_attempts) == (
        "job_2",
        State.QUEUED,
        1,
        0,
        0,
    )
    assert (again.created_at, again.queued_at, again.max_attempts) == (LATER, LATER, 5)
    assert (again.finished_at, again.delete_at, again.failure, again.worker) == (None, None, None, None)
    assert (again.progress, again.not_before, again.is_dead_letter, again.started_at) == (None, None, False, None)


@pytest.mark.parametrize("kind", JobType)
def test_a_retry_has_the_same_work_version_and_lane(kind: JobType) -> None:
    ended = a_job(kind, metadata={"who": "Zoë"}, timeout_s=7.5).expired(NOW, RETENTION_S)

    again = ended.retried_as("job_2", LATER, 3)

    assert (again.type, again.model, again.lane) == (ended.type, ended.model, ended.lane)
    assert (again.timeout_s, again.metadata) == (7.5, {"who": "Zoë"})


def test_a_retry_names_the_job_that_it_repeats() -> None:
    ended = job_in(State.FAILED)

    again = ended.retried_as("job_2", LATER, 3)

    assert again.retry_of == ended.id
    assert [(entry.event, entry.detail) for entry in again.timeline] == [
        (Event.ACCEPTED, f"retry of {ended.id}"),
    ]


def test_a_retry_has_no_start_deadline() -> None:
    """The old one has passed, and the retry is to run now."""
    ended = a_job(expires_at=NOW + 1).expired(NOW + 1, RETENTION_S)

    assert ended.retried_as("job_2", LATER, 3).expires_at is None


def test_a_dead_letter_can_be_retried_with_all_attempts() -> None:
    again = lost_times(3, 3).retried_as("job_2", LATER, 3)

    assert (again.lost_attempts, again.max_attempts, again.is_dead_letter) == (0, 3, False)
