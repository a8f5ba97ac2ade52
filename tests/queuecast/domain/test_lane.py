"""Which lane a job waits in, how many jobs a claim takes, and when a bell counts as lost."""

from dataclasses import replace

import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.job import JobType, ModelRef, Priority
from queuecast.domain.lane import MAX_RESERVED_ROWS, Lane, is_bell_late, is_bell_lost
from queuecast.domain.work import Method, PredictionWork
from tests.queuecast.domain.records import a_job, work_of

PREDICTIONS = Lane(JobType.PREDICTION, "titanic", 3, Method.PREDICT)


def test_predictions_of_one_version_and_method_share_a_lane_under_any_alias() -> None:
    lanes = {
        Lane.of_job(JobType.PREDICTION, ModelRef("titanic", 3, alias, "ab"), PredictionWork(Method.PREDICT, rows))
        for alias, rows in (("champion", 1), (None, 500))
    }

    assert lanes == {PREDICTIONS}
    assert str(PREDICTIONS) == "prediction/titanic/3/predict"


@pytest.mark.parametrize(
    ("lane", "name"),
    [
        (Lane(JobType.PREDICTION, "wine", 12, Method.PREDICT_PROBA), "prediction/wine/12/predict_proba"),
        (Lane(JobType.PREDICTION, "high", 1, Method.PREDICT, priority=Priority.LOW), "prediction/high/1/predict/low"),
        (Lane.of_chunks("job_7"), "chunk/job_7"),
        (Lane.of_chunks("job_7", Priority.HIGH), "chunk/job_7/high"),
        (Lane(JobType.BATCH), "batch"),
        (Lane(JobType.TRAINING), "training"),
        (Lane(JobType.EVALUATION), "evaluation"),
        (Lane(JobType.IMPORT), "import"),
    ],
)
def test_a_lane_has_a_name_that_is_read_back(lane: Lane, name: str) -> None:
    assert str(lane) == name
    assert Lane.parse(name) == lane


@pytest.mark.parametrize(
    ("model", "version", "method"),
    [("wine", 3, Method.PREDICT), ("titanic", 4, Method.PREDICT), ("titanic", 3, Method.PREDICT_PROBA)],
)
def test_another_model_version_or_method_has_a_lane_of_its_own(model: str, version: int, method: Method) -> None:
    assert Lane.of_job(JobType.PREDICTION, ModelRef(model, version), PredictionWork(method, 1)) != PREDICTIONS


@pytest.mark.parametrize("kind", [JobType.TRAINING, JobType.IMPORT, JobType.EVALUATION])
def test_jobs_of_any_other_kind_have_one_lane(kind: JobType) -> None:
    lanes = {Lane.of_job(kind, ModelRef(model), work_of(kind)) for model in ("titanic", "wine")}

    assert lanes == {Lane(kind)}


def test_a_prediction_without_a_version_has_no_lane() -> None:
    with pytest.raises(InvalidInputError):
        Lane.of_job(JobType.PREDICTION, ModelRef("titanic"), PredictionWork(Method.PREDICT, 1))


@pytest.mark.parametrize("kind", JobType)
def test_a_lane_names_the_type_of_its_jobs(kind: JobType) -> None:
    assert Lane.parse(a_job(kind).lane).type is kind


@pytest.mark.parametrize("name", ["", "nonsense", "/prediction", "predictions/titanic/1/predict"])
def test_a_name_without_a_job_type_is_no_lane(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid JobType"):
        Lane.parse(name)


@pytest.mark.parametrize("name", ["prediction", "prediction/titanic", "prediction/titanic/1", "chunk", "batch/job_7"])
def test_a_name_with_too_few_or_too_many_parts_is_no_lane(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a lane"):
        Lane.parse(name)


@pytest.mark.parametrize("name", ["prediction/titanic/1/predict/urgent", "chunk/job_7/high/low"])
def test_a_name_with_an_unknown_priority_is_no_lane(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Priority"):
        Lane.parse(name)


@pytest.mark.parametrize(
    ("name", "job_type"),
    [
        ("prediction/titanic/1/predict/urgent", JobType.PREDICTION),
        ("prediction/titanic/1/predict/high/eu", JobType.PREDICTION),
        ("chunk/job_7/later", JobType.CHUNK),
        ("batch/later", JobType.BATCH),
        ("training/later", JobType.TRAINING),
    ],
)
def test_a_lane_of_a_later_version_is_a_normal_one_of_its_type(name: str, job_type: JobType) -> None:
    assert Lane.of_name(name) == Lane(job_type)
    assert Lane.of_name(name).urgency == Lane(job_type).urgency


def test_a_known_lane_is_read_whole() -> None:
    low = replace(PREDICTIONS, priority=Priority.LOW)

    assert Lane.of_name(str(low)) == low


@pytest.mark.parametrize("name", ["", "later_type/x", "/prediction"])
def test_a_lane_of_an_unknown_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid JobType"):
        Lane.of_name(name)


def test_each_priority_has_a_lane_of_its_own_and_an_urgency() -> None:
    ref, work = ModelRef("titanic", 3), PredictionWork(Method.PREDICT, 1)
    lanes = {priority: Lane.of_job(JobType.PREDICTION, ref, work, priority) for priority in Priority}

    assert lanes[Priority.NORMAL] == PREDICTIONS
    assert len(set(lanes.values())) == 3
    assert sorted(Priority, key=lambda priority: lanes[priority].urgency) == ["high", "normal", "low"]


def test_a_single_prediction_goes_before_bulk_work_of_any_priority() -> None:
    chunks = [Lane.of_chunks("job_7", priority).urgency for priority in Priority]

    assert min(chunks) == chunks[list(Priority).index(Priority.HIGH)] > PREDICTIONS.urgency
    assert Lane(JobType.BATCH).urgency > replace(PREDICTIONS, priority=Priority.LOW).urgency


@pytest.mark.parametrize("job_type", [JobType.TRAINING, JobType.IMPORT])
def test_a_lane_without_priorities_is_as_urgent_as_a_normal_one(job_type: JobType) -> None:
    assert Lane(job_type).urgency == PREDICTIONS.urgency


@pytest.mark.parametrize(("limit", "expected"), [(1, 2), (2, 4), (7, 14), (512, 1024), (513, 1024), (1024, 1024)])
def test_quick_full_claims_double_the_limit_up_to_the_maximum(limit: int, expected: int) -> None:
    assert PREDICTIONS.next_limit(limit, limit, 0.0) == expected <= MAX_RESERVED_ROWS


@pytest.mark.parametrize("rows", [0, 1, 31, 32])
def test_a_quick_claim_of_few_rows_leaves_the_limit(rows: int) -> None:
    assert PREDICTIONS.next_limit(64, rows, 0.0) == 64


def test_one_job_with_more_rows_than_a_claim_may_take_does_not_raise_the_maximum() -> None:
    assert PREDICTIONS.next_limit(1, 10_000, 0.0) == MAX_RESERVED_ROWS


@pytest.mark.parametrize(("took_s", "expected"), [(0.25, 200), (0.26, 48), (0.5, 25), (5.0, 2), (60.0, 1)])
def test_after_a_slow_claim_the_limit_shrinks_until_claims_are_quick(took_s: float, expected: int) -> None:
    assert PREDICTIONS.next_limit(100, 100, took_s) == expected
    assert took_s <= 0.25 or expected == 1 or expected * took_s / 100 < 0.25


@pytest.mark.parametrize("job_type", [JobType.TRAINING, JobType.IMPORT])
def test_a_claim_takes_one_long_job_however_quick_the_last_one_was(job_type: JobType) -> None:
    assert Lane(job_type).next_limit(1, 1, 0.0) == 1


@pytest.mark.parametrize("messages", [0, 1, 500])
def test_a_lane_without_a_bell_needs_one(messages: int) -> None:
    assert is_bell_lost(None, messages)


@pytest.mark.parametrize(("beyond_s", "expected"), [(-0.001, False), (0.0, False), (0.001, True)])
def test_with_an_empty_queue_a_bell_is_lost_once_a_worker_had_time_to_answer(beyond_s: float, expected: bool) -> None:
    assert is_bell_lost(2.0 + beyond_s, 0) is expected


@pytest.mark.parametrize("messages", [1, 500])
@pytest.mark.parametrize("age_s", [2.001, 3605.0])
def test_a_bell_of_any_age_is_not_lost_behind_other_messages(age_s: float, messages: int) -> None:
    """Ringing again would pile up messages as long as no worker runs."""
    assert not is_bell_lost(age_s, messages)


@pytest.mark.parametrize(("beyond_s", "expected"), [(-0.001, False), (0.0, False), (0.001, True)])
def test_a_bell_is_late_once_more_urgent_ones_had_time_to_overtake_it(beyond_s: float, expected: bool) -> None:
    assert is_bell_late(5.0 + beyond_s) is expected


def test_a_lane_without_a_bell_has_no_late_bell() -> None:
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
        ("prediction/titanic/3/predict", "prediction/titanic/3/predict/low", True),
        ("prediction/titanic/3/predict", "batch", True),
        ("prediction/titanic/3/predict", "chunk/job_7", True),
        ("training", "import", True),
        ("prediction/titanic/3/predict", "training", False),
        ("import", "chunk/job_7", False),
    ],
)
def test_trainings_and_imports_wait_for_a_worker_of_their_own(lane: str, other: str, expected: bool) -> None:
    one, two = Lane.parse(lane), Lane.parse(other)

    assert one.shares_workers_with(two) is two.shares_workers_with(one) is expected
