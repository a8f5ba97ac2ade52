"""A file in, a file out, through chunks that many workers share, whoever dies in between."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from queuecast.adapters.ids import new_id
from queuecast.domain.batch import OnError, OutputFormat
from queuecast.domain.chunking import chunk_id
from queuecast.domain.errors import UnavailableError
from queuecast.domain.job import Failure, Job, State
from queuecast.domain.lane import Lane
from queuecast.domain.work import BatchWork, Method
from tests.worker.batch_fixtures import BatchHouse, Dying, Killed
from tests.worker.model_fixtures import RETENTION_S
from worker.batches import chunk_runner, coordinator, planner
from worker.engine.consumer import LaneConsumer
from worker.engine.contracts import RunLimits

ROWS = 45
FRAME = pd.DataFrame({"x": np.linspace(-3, 3, ROWS), "y": np.arange(ROWS) % 7 * 1.0})
TARGET = (FRAME.x + 0.1 * FRAME.y > 0).astype(int)
UNEVEN = pd.DataFrame({"two": np.where(TARGET, "yes", "no"), "three": list("pqr" * (ROWS // 3))}).astype(object)
THREE_COLUMNS = ["probability_1_p", "probability_1_q", "probability_1_r"]
CHUNKS = 5


@pytest.fixture(scope="module")
def fitted() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(FRAME, TARGET)


@pytest.fixture
def house(tmp_path: Path, fitted: Any) -> BatchHouse:
    made = BatchHouse(tmp_path)
    assert made.pushed(fitted, FRAME.head(20)).state is State.SUCCEEDED
    return made


def csv_of(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def spoiled(*rows: int) -> bytes:
    """The file with a word for the number x in these rows."""
    lines = csv_of(FRAME).decode().splitlines()
    for row in rows:
        lines[row] = "x?" + lines[row][lines[row].index(",") :]
    return "\n".join(lines).encode()


def work_of(house: BatchHouse, **given: Any) -> BatchWork:
    return house.batch_work(csv_of(FRAME), **given)


def read(house: BatchHouse, job: Job) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(house.answer_file(job)))


def bad_rows(house: BatchHouse, job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house.error_file(job).splitlines()]


# What comes out


def test_every_row_has_the_answer_that_it_has_in_process_in_the_order_of_the_file(
    house: BatchHouse, fitted: Any
) -> None:
    job = house.ended_batch(work_of(house, method=Method.PREDICT_PROBA))

    found = read(house, job)
    assert job.state is State.SUCCEEDED
    assert found.row.tolist() == list(range(1, ROWS + 1))
    np.testing.assert_allclose(found[["probability_0", "probability_1"]], fitted.predict_proba(FRAME), rtol=1e-9)


def test_the_result_says_what_was_done_with_what(house: BatchHouse) -> None:
    job = house.ended_batch(house.batch_work(spoiled(12)))

    result = house.result(job)
    assert (result["rows"], result["errors"], result["chunks"], result["method"]) == (ROWS, 1, CHUNKS, "predict")
    assert result["file"]["format"] == "csv"
    assert result["file"]["size_bytes"] == len(house.answer_file(job))
    assert (result["model"]["version"], set(result["timings"])) == (1, {"queue_ms", "plan_ms", "predict_ms", "join_ms"})


@pytest.mark.parametrize("output_format", OutputFormat)
def test_every_format_has_the_same_answers(house: BatchHouse, fitted: Any, output_format: OutputFormat) -> None:
    job = house.ended_batch(work_of(house, output_format=output_format))

    content = io.BytesIO(house.answer_file(job))
    readers: dict[OutputFormat, Callable[[], pd.DataFrame]] = {
        OutputFormat.CSV: lambda: pd.read_csv(content),
        OutputFormat.NDJSON: lambda: pd.read_json(content, lines=True),
        OutputFormat.JSON: lambda: pd.read_json(content),
        OutputFormat.PARQUET: lambda: pd.read_parquet(content),
    }
    assert readers[output_format]().prediction.tolist() == fitted.predict(FRAME).tolist()


def test_rows_as_json_lines_have_the_answers_of_rows_as_csv(house: BatchHouse, fitted: Any) -> None:
    lines = FRAME.to_json(orient="records", lines=True).encode()

    job = house.ended_batch(house.batch_work(lines, "application/x-ndjson"))

    assert read(house, job).prediction.tolist() == fitted.predict(FRAME).tolist()


def test_a_column_of_the_file_goes_with_the_answers(house: BatchHouse) -> None:
    named = FRAME.assign(who=[f"p{index}" for index in range(ROWS)])

    job = house.ended_batch(house.batch_work(csv_of(named), id_column="who"))

    assert list(read(house, job).columns) == ["row", "who", "prediction"]
    assert read(house, job).who.tolist() == named.who.tolist()


def test_bad_rows_are_left_out_and_listed_with_their_place(house: BatchHouse) -> None:
    job = house.ended_batch(house.batch_work(spoiled(3, 12, 44)))

    assert set(range(1, ROWS + 1)) - set(read(house, job).row) == {3, 12, 44}
    assert [(each["row"], each["column"], each["code"]) for each in bad_rows(house, job)] == [
        (3, "x", "wrong_type"),
        (12, "x", "wrong_type"),
        (44, "x", "wrong_type"),
    ]
    assert job.progress is not None
    assert (job.progress.done, job.progress.total) == (ROWS, ROWS)


def test_a_file_of_bad_rows_only_succeeds_with_no_answer(house: BatchHouse) -> None:
    job = house.ended_batch(house.batch_work(spoiled(*range(1, ROWS + 1))))

    assert (job.state, len(read(house, job)), len(bad_rows(house, job))) == (State.SUCCEEDED, 0, ROWS)


@pytest.mark.parametrize("output_format", OutputFormat)
@pytest.mark.parametrize("good", [[], [ROWS], [1]], ids=["none", "last", "first"])
def test_chunks_without_a_good_row_have_the_columns_of_the_others(
    house: BatchHouse, output_format: OutputFormat, good: list[int]
) -> None:
    lines = spoiled(*(row for row in range(1, ROWS + 1) if row not in good)).decode().splitlines()
    content = "\n".join(f"{line},{index}" if index else f"{line},id" for index, line in enumerate(lines)).encode()
    asked = {"method": Method.PREDICT_PROBA, "output_format": output_format, "id_column": "id"}

    job = house.ended_batch(house.batch_work(content, **asked))

    file = io.BytesIO(house.answer_file(job))
    readers = {OutputFormat.CSV: pd.read_csv, OutputFormat.PARQUET: pd.read_parquet}
    found = readers.get(output_format, lambda file: pd.read_json(file, lines=output_format is OutputFormat.NDJSON))(
        file
    )
    assert len(found) == len(good)
    if good or output_format in readers:
        assert list(found.columns) == ["row", "id", "probability_0", "probability_1"]
        assert found.row.tolist() == good


def test_a_bad_row_fails_the_batch_where_that_is_asked_for(house: BatchHouse) -> None:
    job = house.ended_batch(house.batch_work(spoiled(12), on_error=OnError.FAIL))

    assert job.failure is not None
    assert (job.state, job.failure.code, job.is_dead_letter) == (State.FAILED, "invalid_input", False)
    assert job.failure.findings[0].pointer == "row 12, column x"


@pytest.mark.parametrize("cell", ["a" * 10**6, "\x01" * 10**6], ids=["letters", "escaped"])
def test_a_cell_of_a_megabyte_is_told_by_its_first_letters(house: BatchHouse, cell: str) -> None:
    content = f"x,y\n{cell},1\n2,3\n".encode()

    skipped = house.ended_batch(house.batch_work(content))
    failed = house.ended_batch(house.batch_work(content, on_error=OnError.FAIL))

    assert len(house.error_file(skipped)) < 500
    assert len(msgspec.json.encode(failed)) < 5_000


def test_names_of_a_megabyte_are_told_by_their_first_letters(house: BatchHouse) -> None:
    job = house.ended_batch(house.batch_work(b"x,%s\n1,2\n" % (b"y" * 10**6)))

    assert len(msgspec.json.encode(job)) < 5_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x,z\n1,2\n", "the file has no column 'y'"),
        (b"x,y\n", "no rows"),
        (b"", "empty"),
    ],
)
def test_a_file_that_does_not_fit_the_model_fails_before_any_chunk(
    house: BatchHouse, content: bytes, words: str
) -> None:
    job = house.ended_batch(house.batch_work(content))

    assert job.failure is not None
    assert (job.failure.code, words in job.failure.detail) == ("invalid_input", True), job.failure.detail


def test_a_file_that_was_changed_is_refused(house: BatchHouse) -> None:
    work = replace(work_of(house), file_sha256="0" * 64)

    assert house.ended_batch(work).failure.code == "file_changed"  # type: ignore[union-attr]


def test_a_file_that_is_gone_fails_the_batch(house: BatchHouse) -> None:
    work = work_of(house)
    job = house.fanned_out(work)
    house.files.delete(work.file_id)

    house.settle()

    assert house.jobs.read(job.id).failure.code == "unknown_file"  # type: ignore[union-attr]


# Rows on which the estimator raises


class Picky(ClassifierMixin, BaseEstimator):
    """Raises on a row with a negative x, and then for the whole call."""

    classes_ = np.array([0, 1])
    words = "x is too small"
    more = 0

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame.x < self.below).any():
            raise ValueError(self.words)
        return np.ones(len(frame) + self.more, dtype=int)


@pytest.fixture
def picky(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> Picky:
    estimator = Picky()
    estimator.below = -2.8
    monkeypatch.setattr(house.estimators, "of", lambda manifest: estimator)
    return estimator


def test_rows_on_which_the_estimator_raises_are_found_and_become_bad_rows(house: BatchHouse, picky: Picky) -> None:
    job = house.ended_batch(work_of(house))

    poisonous = [row for row, x in enumerate(FRAME.x, start=1) if x < picky.below]
    assert len(poisonous) == 2
    assert [(each["row"], each["code"]) for each in bad_rows(house, job)] == [
        (row, "prediction_failed") for row in poisonous
    ]
    assert set(read(house, job).row) == set(range(1, ROWS + 1)) - set(poisonous)


def test_such_a_row_fails_the_batch_where_that_is_asked_for(house: BatchHouse, picky: Picky) -> None:
    job = house.ended_batch(work_of(house, on_error=OnError.FAIL))

    assert job.failure is not None
    assert (job.failure.code, job.failure.findings[0].pointer) == ("invalid_input", "row 1")


def test_rows_for_which_an_estimator_has_another_number_of_answers_are_bad(house: BatchHouse, picky: Picky) -> None:
    picky.more = 1

    job = house.ended_batch(work_of(house))

    assert len(bad_rows(house, job)) == ROWS
    assert bad_rows(house, job)[5]["detail"] == "ValueError: found 2 answers, expected 1"


def test_an_estimator_that_raises_on_too_many_rows_fails_the_batch(
    house: BatchHouse, picky: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_runner, "MAX_RAISED", 5)
    picky.below = 10

    job = house.ended_batch(work_of(house))

    assert job.failure is not None
    assert job.failure.code == "prediction_failed"
    assert "raised on more than 5 of rows 1 to 10" in job.failure.detail


@pytest.mark.parametrize("limit", [1, 100], ids=["too_many_rows", "one_row"])
def test_a_megabyte_that_the_estimator_raises_is_told_by_its_first_words(
    house: BatchHouse, picky: Picky, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(chunk_runner, "MAX_RAISED", limit)
    picky.words = "found " + "1.5 " * 250_000

    failed = house.ended_batch(work_of(house, on_error=OnError.FAIL))

    assert failed.failure is not None
    assert len(msgspec.json.encode(failed)) < 5_000


def test_a_row_on_which_the_estimator_raises_a_megabyte_is_told_with_its_first_words(
    house: BatchHouse, picky: Picky
) -> None:
    picky.words = "found " + "1.5 " * 250_000

    skipped = house.ended_batch(work_of(house))

    assert [len(each["detail"]) for each in bad_rows(house, skipped)] == [500] * 2


# Several outputs


@pytest.fixture
def uneven(tmp_path: Path) -> BatchHouse:
    """With a model of two outputs, one of two and one of three classes."""
    made = BatchHouse(tmp_path / "uneven")
    made.pushed(DecisionTreeClassifier(random_state=0).fit(FRAME, UNEVEN), FRAME.head(20), tuple(UNEVEN.columns))
    return made


def test_outputs_with_different_numbers_of_classes_each_have_the_columns_of_theirs(uneven: BatchHouse) -> None:
    job = uneven.ended_batch(work_of(uneven, method=Method.PREDICT_PROBA))

    found = read(uneven, job)
    assert list(found.columns) == ["row", "probability_0_no", "probability_0_yes", *THREE_COLUMNS]
    assert found[THREE_COLUMNS].to_numpy().argmax(axis=1).tolist() == [index % 3 for index in range(ROWS)]
    first = uneven.answers(FRAME.head(1), Method.PREDICT_PROBA)
    assert first == [[[1.0, 0.0], [1.0, 0.0, 0.0]]]


def test_a_model_of_such_outputs_is_trained_again(uneven: BatchHouse) -> None:
    work = uneven.training_work(FRAME.join(UNEVEN), tuple(UNEVEN.columns))

    assert uneven.trained(work).state is State.SUCCEEDED
    assert uneven.manifest(2).classes == [["no", "yes"], ["p", "q", "r"]]


# Chunks


def test_a_batch_that_is_planned_is_held_by_nobody_and_its_chunks_wait(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))

    assert (job.worker, job.progress.done, job.progress.total) == (None, 0, ROWS)  # type: ignore[union-attr]
    assert [(stats.lane, stats.waiting) for stats in house.lanes.stats()] == [(str(Lane.of_chunks(job.id)), CHUNKS)]
    assert str(Lane.of_chunks(job.id)) in house.bells.rung


def test_a_worker_takes_one_chunk_and_is_free_for_others(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))

    house.run_chunk(job.id)

    assert house.boards.totals(job.id, 1).chunks == 1
    (depth,) = house.lanes.stats()
    assert (depth.waiting, depth.reserved) == (CHUNKS - 1, 0)


def test_progress_counts_rows_whose_answers_are_on_the_disk(house: BatchHouse) -> None:
    job = house.fanned_out(house.batch_work(spoiled(3)))

    house.run_chunk(job.id)

    progress = house.jobs.read(job.id).progress
    assert progress is not None
    assert (progress.done, progress.total, progress.unit, progress.stage, progress.errors) == (
        10,
        ROWS,
        "rows",
        "predict",
        1,
    )


def test_many_chunks_wait_a_window_at_a_time(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "WINDOW", 2)
    job = house.fanned_out(work_of(house))
    waiting = house.lanes.stats()[0].waiting

    for _ in range(CHUNKS):
        house.run_chunk(job.id)

    assert waiting == 2
    assert house.jobs.read(job.id).state is State.QUEUED
    house.settle()
    assert house.jobs.read(job.id).state is State.SUCCEEDED


def test_the_same_chunk_run_twice_counts_once_and_writes_the_same(house: BatchHouse) -> None:
    work = house.batch_work(spoiled(3))
    job = house.fanned_out(work)
    again = house.jobs.read(chunk_id(job.id, 1, 0))
    twin = house.jobs.read_work(again.id)[0]
    house.run_chunk(job.id)
    written = house.folders.part(job.id, 1, 0).read_bytes()

    house.boards.undo_done(job.id, 1, 0)
    house.chunks.run(again, twin)  # type: ignore[arg-type]
    house.chunks.run(again, twin)  # type: ignore[arg-type]

    assert house.folders.part(job.id, 1, 0).read_bytes() == written
    assert house.boards.totals(job.id, 1).rows == 10


# Cancel, timeout, dead letters


def test_a_canceled_batch_ends_at_once_and_its_chunks_notice(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    house.run_chunk(job.id)

    house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
    house.settle()

    assert house.jobs.read(job.id).state is State.CANCELED
    assert house.boards.totals(job.id, 1).chunks == 1
    assert house.jobs.read(chunk_id(job.id, 1, 3)).failure.code == "batch_ended"  # type: ignore[union-attr]
    assert house.lanes.stats() == []


def test_a_cancel_while_a_chunk_runs_leaves_the_batch_canceled(
    house: BatchHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = house.fanned_out(work_of(house))
    original = chunk_runner.write_part

    def cancels(*args: Any) -> None:
        original(*args)
        if not house.jobs.read(job.id).is_final:
            house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))

    monkeypatch.setattr(chunk_runner, "write_part", cancels)
    house.settle()

    assert house.jobs.read(job.id).state is State.CANCELED
    assert house.folders.outcome(job.id) is None


def test_a_cancel_while_the_file_is_cut_leaves_no_chunk(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    job = house.batch(work_of(house))
    original = house.folders.save_plan

    def cancels(*args: Any) -> Any:
        house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
        return original(*args)

    monkeypatch.setattr(house.folders, "save_plan", cancels)
    house.settle()

    ended = house.jobs.read(job.id)
    assert (ended.state, ended.is_fanned_out) == (State.CANCELED, False)
    assert house.boards.chunks([chunk_id(job.id, 1, index) for index in range(CHUNKS)]) == {}


def test_a_cancel_while_the_parts_are_joined_leaves_the_batch_canceled(
    house: BatchHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = house.batch(work_of(house))
    original = house.folders.save_outcome

    def cancels(*args: Any) -> Any:
        house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
        return original(*args)

    monkeypatch.setattr(house.folders, "save_outcome", cancels)
    house.settle()

    assert house.jobs.read(job.id).state is State.CANCELED


@pytest.mark.parametrize(
    ("call_s", "row_s", "expected"),
    [(0.0, 1e-3, 300), (0.0, 1e-9, 20_000), (0.0, 0.024, 12), (0.0, 1.0, 1), (0.004, 1e-4, 2_900), (0.4, 1e-4, 256)],
    ids=["usual", "quick", "slow", "slowest", "with_a_cost_a_call", "with_little_but_a_cost_a_call"],
)
def test_a_chunk_has_as_many_rows_as_the_model_answers_in_the_time_for_one(
    tmp_path: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch, call_s: float, row_s: float, expected: int
) -> None:
    house = BatchHouse(tmp_path, chunk_rows=20_000)
    house.pushed(fitted, FRAME.head(20))
    many = pd.concat([FRAME] * (40_000 // ROWS), ignore_index=True)
    timed: list[float] = []

    def shortest_s(call: Any, frame: Any) -> float:
        timed.append(call_s + row_s * len(frame))
        return timed[-1]

    monkeypatch.setattr(planner, "_shortest_s", shortest_s)

    job = house.fanned_out(house.batch_work(csv_of(many)))

    assert house.plan(job).cuts[0].n_rows == pytest.approx(expected, rel=0.03)
    assert sum(timed) < 6  # a slow model is not kept busy with it


def test_a_batch_that_takes_too_long_fails_with_its_timeout(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    for _ in range(100):
        house.clock()

    house.batches.repair()

    assert house.jobs.read(job.id).failure.code == "timeout"  # type: ignore[union-attr]


def test_a_chunk_that_ends_its_workers_makes_the_batch_a_dead_letter_that_names_the_rows(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house.chunks, "_answered", lambda *_: (_ for _ in ()).throw(Killed("poison")))
        for _ in range(3):
            house.lanes.enqueue_due(float("inf"))
            with pytest.raises(Killed):
                house.run_chunk(job.id)
            house.bury()
            house.lanes.enqueue_due(float("inf"))
            # The others wait behind it; it comes first again.
            lane = house.jobs.lanes[str(Lane.of_chunks(job.id))]
            lane.sort(key=lambda entry: entry.job_id != chunk_id(job.id, 1, 0)) if lane else None

    house.batches.repair()

    ended = house.jobs.read(job.id)
    assert ended.failure == Failure("worker_lost", "rows 1 to 10: the process died")
    assert (ended.state, ended.is_dead_letter) == (State.FAILED, True)
    assert [letter.id for letter in house.jobs.dead_letters(None, 10).jobs] == [job.id]


def test_an_error_that_may_pass_is_tried_again(house: BatchHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = chunk_runner.write_part, []

    def full_once(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        original(*args)

    monkeypatch.setattr(chunk_runner, "write_part", full_once)
    job = house.ended_batch(work_of(house))

    assert job.state is State.SUCCEEDED
    assert len(calls) == CHUNKS + 1


# Retry


def retried(house: BatchHouse, job: Job, work: BatchWork) -> Job:
    again = house.jobs.read(job.id).retried_as(new_id("job"), house.clock(), 3)
    house.jobs.create(again, replace(work, resumes=job.id))
    house.settle()
    return house.jobs.read(again.id)


def test_a_retry_runs_only_the_chunks_that_are_missing(
    house: BatchHouse, fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = house.batch_work(spoiled(3))
    job = house.fanned_out(work)
    house.run_chunk(job.id)
    house.run_chunk(job.id)
    house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
    house.settle()
    ran = []
    original = chunk_runner.read_range
    monkeypatch.setattr(chunk_runner, "read_range", lambda *args: ran.append(args[3].index) or original(*args))

    again = retried(house, job, work)

    assert ran == [2, 3, 4]
    good = [row for row in range(1, ROWS + 1) if row != 3]
    assert again.state is State.SUCCEEDED
    assert read(house, again).row.tolist() == good
    assert read(house, again).prediction.tolist() == fitted.predict(FRAME)[[row - 1 for row in good]].tolist()
    assert [each["row"] for each in bad_rows(house, again)] == [3]


def test_a_retry_of_a_batch_whose_parts_are_gone_runs_all_of_it(house: BatchHouse) -> None:
    work = work_of(house)
    job = house.fanned_out(work)
    house.run_chunk(job.id)
    house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
    house.settle()
    house.folders.sweep(lambda batch_id, *, is_old: True, before=0.0)

    again = retried(house, job, work)

    assert (again.state, len(read(house, again))) == (State.SUCCEEDED, ROWS)


# Whoever dies, wherever

WRITES = [
    ("folders", "save_plan", 0),
    ("boards", "open", 0),
    ("boards", "add", 0),
    *[("boards", "record_done", spared) for spared in range(CHUNKS)],
    ("folders", "save_outcome", 0),
    *[("jobs", "replace", spared) for spared in range(20)],
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name", "spared"), WRITES, ids=[f"{name}-{spared}" for _, name, spared in WRITES])
def test_a_batch_survives_the_death_of_a_worker_at_every_write(
    house: BatchHouse, fitted: Any, owner: str, name: str, spared: int, after: bool
) -> None:
    work = house.batch_work(spoiled(3, 30))
    job = house.batch(work)
    dying = Dying(getattr(house, owner), name, after=after, spared=spared)

    survive(house)

    ended = house.jobs.read(job.id)
    assert dying.deaths == 1
    assert (ended.state, ended.failure) == (State.SUCCEEDED, None)
    good = [row for row in range(1, ROWS + 1) if row not in (3, 30)]
    assert read(house, ended).row.tolist() == good
    assert read(house, ended).prediction.tolist() == fitted.predict(FRAME)[[row - 1 for row in good]].tolist()
    assert [each["row"] for each in bad_rows(house, ended)] == [3, 30]
    assert house.result(ended)["errors"] == 2
    finals = [moment for moment in ended.timeline if moment.event.value == "finished"]
    assert len(finals) == 1


def survive(house: BatchHouse) -> None:
    """Settles, with a reaper that gives back what the dead held."""
    for _ in range(30):
        try:
            house.settle()
        except Killed:
            house.bury()
        else:
            return
    raise AssertionError("the dying does not end")


def test_a_row_that_was_bad_only_in_the_run_that_died_is_none(
    house: BatchHouse, picky: Picky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_runner, "write_part", chunk_runner.write_part)  # put back after the test
    job = house.batch(work_of(house))
    dying = Dying(chunk_runner, "write_part", after=False)
    with pytest.raises(Killed):
        house.settle()
    picky.below = -10.0
    house.bury()

    house.settle()

    ended = house.jobs.read(job.id)
    assert dying.deaths == 1
    assert (house.result(ended)["errors"], bad_rows(house, ended), len(read(house, ended))) == (0, [], ROWS)


def test_what_a_worker_that_came_too_late_has_planned_is_not_taken(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    plan = house.plan(job)

    late = house.folders.save_plan(job.id, replace(plan, number=9, cuts=plan.cuts[:1]))

    assert late == plan


def test_a_second_join_writes_nothing_new_and_has_the_same_outcome(house: BatchHouse) -> None:
    job = house.ended_batch(work_of(house))
    before, outcome = house.answer_file(job), house.folders.outcome(job.id)

    assert outcome is not None
    assert house.folders.save_outcome(job.id, replace(outcome, attempt=9, sha256="other")) == outcome
    assert house.answer_file(job) == before


def test_a_part_that_is_lost_before_the_join_is_made_again(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    for _ in range(CHUNKS):
        house.run_chunk(job.id)
    house.folders.part(job.id, 1, 2).unlink()

    house.settle()

    ended = house.jobs.read(job.id)
    assert (ended.state, len(read(house, ended))) == (State.SUCCEEDED, ROWS)


def test_a_batch_whose_folder_is_lost_is_planned_anew(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    house.run_chunk(job.id)
    house.folders.sweep(lambda batch_id, *, is_old: True, before=0.0)

    house.settle()

    ended = house.jobs.read(job.id)
    assert (ended.state, len(read(house, ended))) == (State.SUCCEEDED, ROWS)


def test_chunks_that_were_lost_with_the_store_are_made_again(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    for index in range(CHUNKS):
        lost = chunk_id(job.id, 1, index)
        house.rewritten(house.jobs.read(lost), lambda chunk: chunk.cancel_requested(house.clock(), RETENTION_S))
        house.jobs.delete(lost)

    house.batches.repair()

    assert [depth.waiting for depth in house.lanes.stats()] == [CHUNKS]


def test_chunks_that_cannot_be_started_are_started_by_the_reaper(
    house: BatchHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = house.boards.add
    monkeypatch.setattr(house.boards, "add", lambda chunks: (_ for _ in ()).throw(UnavailableError("away")))
    job = house.fanned_out(work_of(house))
    monkeypatch.setattr(house.boards, "add", original)

    house.settle()

    assert house.jobs.read(job.id).state is State.SUCCEEDED


def test_two_workers_share_the_chunks_of_a_batch(house: BatchHouse) -> None:
    job = house.fanned_out(work_of(house))
    second = LaneConsumer(
        house.jobs,
        house.lanes,
        house.bells,
        house.runners,
        house.clock,
        jitter=lambda: 0.5,
        worker="worker-2",
        limits=RunLimits(lease_s=30.0, retention_s=RETENTION_S, max_result_bytes=10_000),
        stop_by=lambda: float("inf"),
        end_process=lambda: None,
    )

    for _ in range(3):
        house.run_chunk(job.id)
        second.drain(str(Lane.of_chunks(job.id)))

    workers = {house.jobs.read(chunk_id(job.id, 1, index)).worker for index in range(CHUNKS)}
    assert workers == {"worker-1", "worker-2"}
    assert house.jobs.read(job.id).state is State.QUEUED


def test_the_parts_of_a_batch_that_succeeded_are_removed_and_those_of_others_kept(house: BatchHouse) -> None:
    done = house.ended_batch(work_of(house))
    job = house.fanned_out(work_of(house))
    house.run_chunk(job.id)
    house.rewritten(job, lambda present: present.cancel_requested(house.clock(), RETENTION_S))
    house.settle()

    assert not (house.batch_folder / done.id / "parts").exists()
    assert house.folders.part(job.id, 1, 0).exists()
