"""The complete table of a job's moves: every move from every state."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from queuecast.domain.errors import Failure, Finding, IllegalMoveError, InvalidInputError
from queuecast.domain.job import FINAL_STATES, Job, ModelRef, Progress, State
from queuecast.domain.timeline import Event
from tests.queuecast.domain.job_states import DELAY_S, FAILURE, LATER, job_in, lost
from tests.queuecast.domain.records import NOW, RETENTION_S, a_job

MOVES: dict[str, Callable[[Job], Job]] = {
    "claimed": lambda job: job.claimed("host:8", LATER),
    "expired": lambda job: job.expired(LATER, RETENTION_S),
    "progressed": lambda job: job.progressed(Progress(2, 5, "stages", "fit", 800)),
    "succeeded": lambda job: job.succeeded(LATER, RETENTION_S),
    "failed": lambda job: job.failed(FAILURE, LATER, RETENTION_S),
    "lost": lost,
    "handed_back": lambda job: job.handed_back(LATER, RETENTION_S),
    "cancel_requested": lambda job: job.cancel_requested(LATER, RETENTION_S),
    "stopped": lambda job: job.stopped(LATER, RETENTION_S),
}
ALLOWED = {
    ("claimed", State.QUEUED): State.RUNNING,
    ("expired", State.QUEUED): State.EXPIRED,
    ("progressed", State.RUNNING): State.RUNNING,
    ("succeeded", State.RUNNING): State.SUCCEEDED,
    ("failed", State.RUNNING): State.FAILED,
    ("lost", State.RUNNING): State.QUEUED,
    ("lost", State.CANCELING): State.CANCELED,
    ("handed_back", State.RUNNING): State.QUEUED,
    ("handed_back", State.CANCELING): State.CANCELED,
    ("cancel_requested", State.QUEUED): State.CANCELED,
    ("cancel_requested", State.RUNNING): State.CANCELING,
    ("stopped", State.CANCELING): State.CANCELED,
}
HARMLESS = {("cancel_requested", State.CANCELING), ("cancel_requested", State.CANCELED)}
TABLE = [(move, state) for move in MOVES for state in State]
ENTRIES = {
    ("claimed", State.QUEUED): [(Event.CLAIMED, 1, "host:8", "")],
    ("expired", State.QUEUED): [(Event.FINISHED, 0, None, "expired")],
    ("progressed", State.RUNNING): [],
    ("succeeded", State.RUNNING): [(Event.FINISHED, 1, "host:7", "succeeded")],
    ("failed", State.RUNNING): [(Event.FINISHED, 1, "host:7", "failed: run_failed")],
    ("lost", State.RUNNING): [
        (Event.LOST, 1, "host:7", "worker host:7 did not renew its lease for 30 s"),
        (Event.RETRIED, 1, None, "after 4.0 s"),
    ],
    ("lost", State.CANCELING): [(Event.FINISHED, 1, "host:7", "canceled")],
    ("handed_back", State.RUNNING): [(Event.HANDED_BACK, 1, "host:7", "")],
    ("handed_back", State.CANCELING): [(Event.FINISHED, 1, "host:7", "canceled")],
    ("cancel_requested", State.QUEUED): [(Event.FINISHED, 0, None, "canceled")],
    ("cancel_requested", State.RUNNING): [(Event.CANCELING, 1, "host:7", "")],
    ("stopped", State.CANCELING): [(Event.FINISHED, 1, "host:7", "canceled")],
}


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_an_allowed_move_leads_to_its_state_with_the_next_revision(move: str, state: State) -> None:
    before = job_in(state)

    after = MOVES[move](before)

    assert (after.state, after.revision) == (ALLOWED[move, state], before.revision + 1)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_moved_job_has_the_fields_of_a_job_and_no_other(move: str, state: State) -> None:
    after = MOVES[move](job_in(state))

    assert vars(after).keys() == {each.name for each in fields(Job)}
    assert replace(after) == after


def test_a_changed_copy_leaves_the_job_as_it_was() -> None:
    job = job_in(State.QUEUED)
    before = replace(job)

    assert job.changed(worker="host:8") == replace(job, worker="host:8")
    assert job == before


@pytest.mark.parametrize(("move", "state"), [cell for cell in TABLE if cell not in {*ALLOWED, *HARMLESS}])
def test_every_other_move_is_refused_and_says_job_and_state(move: str, state: State) -> None:
    job = job_in(state)

    with pytest.raises(IllegalMoveError, match=f"{job.id} is {state} and cannot "):
        MOVES[move](job)


@pytest.mark.parametrize(("move", "state"), sorted(HARMLESS))
def test_asking_again_to_cancel_changes_nothing(move: str, state: State) -> None:
    job = job_in(state)

    assert MOVES[move](job) is job


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
@pytest.mark.parametrize("move", MOVES)
def test_a_final_state_never_changes(state: State, move: str) -> None:
    job = job_in(state)

    try:
        after = MOVES[move](job)
    except IllegalMoveError:
        after = job

    assert after == job


@pytest.mark.parametrize("state", State)
def test_a_state_is_final_exactly_when_no_move_leaves_it(state: State) -> None:
    leaves = any(cell[1] is state for cell in ALLOWED)

    assert job_in(state).is_final is not leaves


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_move_leaves_the_record_that_it_was_made_on_as_it_was(move: str, state: State) -> None:
    job = job_in(state)
    copy = replace(job)

    MOVES[move](job)

    assert job == copy


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_move_adds_to_the_timeline_what_happened_when_in_which_run_and_where(move: str, state: State) -> None:
    before = job_in(state)

    after = MOVES[move](before)

    assert after.timeline[: len(before.timeline)] == before.timeline
    added = after.timeline[len(before.timeline) :]
    assert [(entry.event, entry.attempt, entry.worker, entry.detail) for entry in added] == ENTRIES[move, state]
    assert all(entry.at == LATER for entry in added)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_job_has_a_worker_from_its_claim_until_it_waits_again(move: str, state: State) -> None:
    before = job_in(state)

    after = MOVES[move](before)

    expected = "host:8" if move == "claimed" else None if after.state is State.QUEUED else before.worker
    assert after.worker == expected


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_only_a_run_that_was_lost_counts_as_lost(move: str, state: State) -> None:
    after = MOVES[move](job_in(state))

    assert after.lost_attempts == (1 if (move, state) == ("lost", State.RUNNING) else 0)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_job_waits_out_a_delay_only_after_a_loss(move: str, state: State) -> None:
    after = MOVES[move](job_in(state))

    assert after.not_before == (LATER + DELAY_S if (move, state) == ("lost", State.RUNNING) else None)


@pytest.mark.parametrize("move", ["claimed", "expired", "cancel_requested"])
def test_a_delay_ends_with_the_wait(move: str) -> None:
    waiting = lost(job_in(State.RUNNING))

    assert MOVES[move](waiting).not_before is None


@pytest.mark.parametrize("move", ["lost", "handed_back"])
def test_a_job_that_waits_again_has_waited_since_then(move: str) -> None:
    again = MOVES[move](job_in(State.RUNNING))

    assert (again.queued_at, again.created_at) == (LATER, NOW)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_no_single_move_makes_a_dead_letter_while_attempts_are_left(move: str, state: State) -> None:
    assert not MOVES[move](job_in(state)).is_dead_letter


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_only_a_failure_says_why(move: str, state: State) -> None:
    assert MOVES[move](job_in(state)).failure == (FAILURE if move == "failed" else None)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_only_a_claim_counts_as_an_attempt(move: str, state: State) -> None:
    before = job_in(state)

    after = MOVES[move](before)

    assert after.attempt - before.attempt == (1 if move == "claimed" else 0)


@pytest.mark.parametrize(("move", "state"), sorted(ALLOWED))
def test_a_job_says_when_it_ended_and_until_when_it_is_kept_only_at_its_end(move: str, state: State) -> None:
    after = MOVES[move](job_in(state))

    expected = (LATER, LATER + RETENTION_S) if after.is_final else (None, None)
    assert (after.finished_at, after.delete_at) == expected


def test_a_job_is_accepted_when_it_is_made_and_waits_from_then_on() -> None:
    job = a_job(created_at=LATER)

    accepted = job.accepted()

    assert (accepted.state, accepted.revision, accepted.attempt, accepted.queued_at) == (State.QUEUED, 1, 0, LATER)
    assert [(entry.event, entry.at, entry.detail) for entry in accepted.timeline] == [(Event.ACCEPTED, LATER, "")]


def test_a_claim_notes_the_worker_and_the_start() -> None:
    claimed = a_job().claimed("host:7", LATER)

    assert (claimed.worker, claimed.started_at, claimed.attempt) == ("host:7", LATER, 1)


@pytest.mark.parametrize("state", State)
def test_the_attempt_is_the_fence_of_a_run_that_goes_on_or_was_asked_to_stop(state: State) -> None:
    job = job_in(state)

    assert job.is_run_by(1) is (state in (State.RUNNING, State.CANCELING))


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_a_run_with_another_number_than_the_attempt_does_not_own_the_job(attempt: int) -> None:
    job = replace(job_in(State.RUNNING), attempt=2)

    assert not job.is_run_by(attempt)


def test_a_queued_job_expires_at_its_deadline_and_not_before() -> None:
    job = a_job(expires_at=NOW + 10)

    assert [job.is_due_to_expire(NOW + 10 + seconds) for seconds in (-0.001, 0, 0.001)] == [False, True, True]


def test_a_job_without_a_deadline_never_expires() -> None:
    assert not a_job().is_due_to_expire(NOW + 1e9)


@pytest.mark.parametrize("state", [state for state in State if state is not State.QUEUED])
def test_a_job_that_has_started_does_not_expire(state: State) -> None:
    job = replace(job_in(state), expires_at=NOW)

    assert not job.is_due_to_expire(NOW + 1)


def test_a_claim_starts_with_no_progress() -> None:
    """Half of a bar from a run that was lost would move back when the next one begins."""
    again = lost(job_in(State.RUNNING).progressed(Progress(2, 5, "stages", "fit"))).claimed("host:8", LATER)

    assert again.progress is None


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_job_that_is_run_once_more_does_not_expire_for_having_been_retried(attempts: int) -> None:
    job = replace(job_in(State.QUEUED), attempt=attempts, expires_at=NOW)

    assert not job.is_due_to_expire(NOW + 1)


def test_work_that_has_no_version_yet_has_none_to_run_on() -> None:
    with pytest.raises(InvalidInputError, match="no version of wine is pinned"):
        _ = ModelRef("wine").pinned_version


def test_success_completes_the_progress() -> None:
    job = job_in(State.RUNNING).progressed(Progress(2, 5, "stages", "fit"))

    assert job.succeeded(LATER, RETENTION_S).progress == Progress(5, 5, "stages", "fit")


def test_a_failure_keeps_the_progress_and_says_why() -> None:
    job = job_in(State.RUNNING).progressed(Progress(2, 5, "stages", "fit"))

    failed = job.failed(FAILURE, LATER, RETENTION_S)

    assert (failed.progress, failed.failure) == (Progress(2, 5, "stages", "fit"), FAILURE)


def test_a_refusal_becomes_a_failure_with_its_code_words_and_places() -> None:
    places = (Finding("row 3, column age", "wrong_type", "expected a number"),)

    failure = InvalidInputError("the file does not fit", places, code="bad_file").failure

    assert failure == Failure("bad_file", "the file does not fit", places)


@pytest.mark.parametrize(
    ("started_after_s", "expected"),
    [(1.5, 1500.0), (0.0, 0.0), (-0.000_083, 0.0)],
    ids=["waited", "at once", "claimed by a clock that is a little behind"],
)
def test_a_job_has_never_waited_for_less_than_nothing(started_after_s: float, expected: float) -> None:
    claimed = a_job().accepted().claimed("host:1", NOW + started_after_s)

    assert claimed.queued_ms(NOW + 60) == expected
    assert a_job().accepted().queued_ms(NOW + started_after_s) == expected
