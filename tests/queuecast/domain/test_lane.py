"""Which lane a job waits in, how many jobs a claim takes, and when a bell counts as lost."""

import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.lane import (
    BELL_LATE_S,
    BELL_LOST_S,
    ROWS_A_CLAIM,
    SLOW_CLAIM_S,
    chunk_lane,
    is_bell_late,
    is_bell_lost,
    kind_of,
    lane_of,
    next_limit,
    shares_workers,
    urgency_of,
)
from queuecast.domain.work import Method, PredictionWork
from tests.queuecast.domain.records import a_job, work_of

PREDICTIONS = "prediction/titanic/3/predict"


def test_predictions_of_one_version_and_method_share_a_lane_whatever_alias_named_it() -> None:
    lanes = {
        lane_of(JobType.PREDICTION, ModelRef("titanic", 3, alias, "ab"), PredictionWork(Method.PREDICT, rows))
        for alias, rows in (("champion", 1), (None, 500))
    }

    assert lanes == {PREDICTIONS}


@pytest.mark.parametrize(
    ("model", "version", "method"),
    [("wine", 3, Method.PREDICT), ("titanic", 4, Method.PREDICT), ("titanic", 3, Method.PREDICT_PROBA)],
)
def test_another_model_version_or_method_has_a_lane_of_its_own(model: str, version: int, method: Method) -> None:
    assert lane_of(JobType.PREDICTION, ModelRef(model, version), PredictionWork(method, 1)) != PREDICTIONS


@pytest.mark.parametrize("kind", [JobType.TRAINING, JobType.IMPORT])
def test_jobs_of_any_other_kind_have_one_lane(kind: JobType) -> None:
    lanes = {lane_of(kind, ModelRef(model), work_of(kind)) for model in ("titanic", "wine")}

    assert lanes == {kind.value}


def test_a_prediction_without_a_version_has_no_lane() -> None:
    with pytest.raises(InvalidInputError):
        lane_of(JobType.PREDICTION, ModelRef("titanic"), PredictionWork(Method.PREDICT, 1))


@pytest.mark.parametrize("kind", JobType)
def test_a_lane_tells_the_kind_of_its_jobs(kind: JobType) -> None:
    assert kind_of(a_job(kind).lane) is kind


@pytest.mark.parametrize("lane", ["", "nonsense", "/prediction", "predictions/titanic/1/predict"])
def test_a_name_that_is_no_lane_has_no_kind(lane: str) -> None:
    with pytest.raises(ValueError, match="is not a valid JobType"):
        kind_of(lane)


def test_each_priority_has_a_lane_of_its_own_which_says_how_urgent_it_is() -> None:
    ref, work = ModelRef("titanic", 3), PredictionWork(Method.PREDICT, 1)
    lanes = {priority: lane_of(JobType.PREDICTION, ref, work, priority) for priority in Priority}

    assert lanes[Priority.NORMAL] == PREDICTIONS
    assert len(set(lanes.values())) == 3
    assert sorted(Priority, key=lambda priority: urgency_of(lanes[priority])) == ["high", "normal", "low"]


def test_what_somebody_may_wait_for_goes_before_bulk_of_whatever_priority() -> None:
    chunks = [urgency_of(chunk_lane("job_7", priority)) for priority in Priority]

    assert min(chunks) == chunks[list(Priority).index(Priority.HIGH)] > urgency_of(PREDICTIONS)
    assert urgency_of("batch") > urgency_of(f"{PREDICTIONS}/low")


@pytest.mark.parametrize("lane", ["training", "import"])
def test_a_lane_without_priorities_is_as_urgent_as_a_normal_one(lane: str) -> None:
    assert urgency_of(lane) == urgency_of(PREDICTIONS)


@pytest.mark.parametrize(("limit", "expected"), [(1, 2), (2, 4), (7, 14), (512, 1024), (513, 1024), (1024, 1024)])
def test_quick_claims_that_found_enough_double_until_the_most_that_one_may_take(limit: int, expected: int) -> None:
    assert next_limit(PREDICTIONS, limit, limit, 0.0) == expected <= ROWS_A_CLAIM


@pytest.mark.parametrize("rows", [0, 1, 31, 32])
def test_a_quick_claim_that_found_little_changes_nothing(rows: int) -> None:
    assert next_limit(PREDICTIONS, 64, rows, 0.0) == 64


def test_one_job_with_more_rows_than_a_claim_may_take_does_not_raise_the_most() -> None:
    assert next_limit(PREDICTIONS, 1, 10_000, 0.0) == ROWS_A_CLAIM


@pytest.mark.parametrize(("took_s", "expected"), [(0.25, 200), (0.26, 48), (0.5, 25), (5.0, 2), (60.0, 1)])
def test_after_a_slow_claim_fewer_are_taken_so_that_the_next_is_quick(took_s: float, expected: int) -> None:
    assert next_limit(PREDICTIONS, 100, 100, took_s) == expected
    assert took_s <= SLOW_CLAIM_S or expected == 1 or expected * took_s / 100 < SLOW_CLAIM_S


@pytest.mark.parametrize("lane", ["training", "import"])
def test_a_claim_takes_one_long_job_however_quick_the_last_was(lane: str) -> None:
    assert next_limit(lane, 1, 1, 0.0) == 1


@pytest.mark.parametrize("messages", [0, 1, 500])
def test_a_lane_that_no_bell_was_rung_for_needs_one(messages: int) -> None:
    assert is_bell_lost(None, messages)


@pytest.mark.parametrize(("beyond_s", "expected"), [(-0.001, False), (0.0, False), (0.001, True)])
def test_with_no_message_on_its_way_a_bell_is_lost_when_a_worker_had_time_to_answer(
    beyond_s: float, expected: bool
) -> None:
    assert is_bell_lost(BELL_LOST_S + beyond_s, 0) is expected


@pytest.mark.parametrize("messages", [1, 500])
@pytest.mark.parametrize("age_s", [BELL_LOST_S + 0.001, BELL_LATE_S + 3600])
def test_behind_other_messages_a_bell_is_not_lost_however_old_it_is(age_s: float, messages: int) -> None:
    """Were it rung for again and again, messages would pile up for as long as nobody works."""
    assert not is_bell_lost(age_s, messages)


@pytest.mark.parametrize(("beyond_s", "expected"), [(-0.001, False), (0.0, False), (0.001, True)])
def test_a_bell_is_late_when_others_had_time_to_pass_it(beyond_s: float, expected: bool) -> None:
    assert is_bell_late(BELL_LATE_S + beyond_s) is expected


def test_a_lane_without_a_bell_has_no_late_one() -> None:
    assert not is_bell_late(None)


def test_a_bell_that_was_rung_just_now_is_not_lost() -> None:
    assert not is_bell_lost(0.0, 0)


@pytest.mark.parametrize("messages", [0, 500])
def test_a_bell_from_before_the_clock_was_set_back_counts_as_lost(messages: int) -> None:
    assert is_bell_lost(-3600.0, messages)
    assert not is_bell_lost(-0.01, messages)


@pytest.mark.parametrize(
    ("lane", "other", "expected"),
    [
        (PREDICTIONS, f"{PREDICTIONS}/low", True),
        (PREDICTIONS, "batch", True),
        (PREDICTIONS, "chunk/job_7", True),
        ("training", "import", True),
        (PREDICTIONS, "training", False),
        ("import", "chunk/job_7", False),
    ],
)
def test_what_is_trained_and_imported_waits_for_another_worker(lane: str, other: str, expected: bool) -> None:
    assert shares_workers(lane, other) is shares_workers(other, lane) is expected
