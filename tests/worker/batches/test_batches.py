"""A batch turns a file into a file, through chunks that workers share; a process may die at any step."""

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
from queuecast.domain.chunking import chunk_id
from queuecast.domain.errors import Failure, UnavailableError
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.job import Job, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.signature import Signature
from queuecast.domain.work import BatchWork, Method, OnError
from tests.worker.batch_fixtures import LocalBatchService
from tests.worker.model_fixtures import RETENTION_S
from tests.worker.process_deaths import KillAtCall, ProcessKilled
from worker.batches import chunk_runner, coordinator, part_prediction, planner
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
def service(tmp_path: Path, fitted: Any) -> LocalBatchService:
    made = LocalBatchService(tmp_path)
    assert made.pushed(fitted, FRAME.head(20)).state is State.SUCCEEDED
    return made


def csv_of(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def csv_with_bad_rows(*rows: int) -> bytes:
    """The file with text in the number column x of these rows."""
    lines = csv_of(FRAME).decode().splitlines()
    for row in rows:
        lines[row] = "x?" + lines[row][lines[row].index(",") :]
    return "\n".join(lines).encode()


def work_of(service: LocalBatchService, **given: Any) -> BatchWork:
    return service.batch_work(csv_of(FRAME), **given)


def result_table(service: LocalBatchService, job: Job) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(service.answer_file(job)))


def bad_rows(service: LocalBatchService, job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.error_file(job).splitlines()]


# The result


def test_every_row_has_the_prediction_of_the_estimator_in_the_order_of_the_file(
    service: LocalBatchService, fitted: Any
) -> None:
    job = service.ended_batch(work_of(service, method=Method.PREDICT_PROBA))

    found = result_table(service, job)
    assert job.state is State.SUCCEEDED
    assert found.row.tolist() == list(range(1, ROWS + 1))
    np.testing.assert_allclose(found[["probability_0", "probability_1"]], fitted.predict_proba(FRAME), rtol=1e-9)


def test_the_result_has_the_counts_the_file_and_the_model(service: LocalBatchService) -> None:
    job = service.ended_batch(service.batch_work(csv_with_bad_rows(12)))

    result = service.result(job)
    assert (result["rows"], result["errors"], result["chunks"], result["method"]) == (ROWS, 1, CHUNKS, "predict")
    assert result["file"]["format"] == "csv"
    assert result["file"]["size_bytes"] == len(service.answer_file(job))
    assert (result["model"]["version"], set(result["timings"])) == (1, {"queue_ms", "plan_ms", "predict_ms", "join_ms"})


@pytest.mark.parametrize("output_format", OutputFormat)
def test_every_format_has_the_same_predictions(
    service: LocalBatchService, fitted: Any, output_format: OutputFormat
) -> None:
    job = service.ended_batch(work_of(service, output_format=output_format))

    content = io.BytesIO(service.answer_file(job))
    readers: dict[OutputFormat, Callable[[], pd.DataFrame]] = {
        OutputFormat.CSV: lambda: pd.read_csv(content),
        OutputFormat.NDJSON: lambda: pd.read_json(content, lines=True),
        OutputFormat.JSON: lambda: pd.read_json(content),
        OutputFormat.PARQUET: lambda: pd.read_parquet(content),
    }
    assert readers[output_format]().prediction.tolist() == fitted.predict(FRAME).tolist()


def test_rows_as_json_lines_get_the_predictions_of_rows_as_csv(service: LocalBatchService, fitted: Any) -> None:
    lines = FRAME.to_json(orient="records", lines=True).encode()

    job = service.ended_batch(service.batch_work(lines, "application/x-ndjson"))

    assert result_table(service, job).prediction.tolist() == fitted.predict(FRAME).tolist()


def test_the_id_column_of_the_file_is_in_the_result(service: LocalBatchService) -> None:
    named = FRAME.assign(who=[f"p{index}" for index in range(ROWS)])

    job = service.ended_batch(service.batch_work(csv_of(named), id_column="who"))

    assert list(result_table(service, job).columns) == ["row", "who", "prediction"]
    assert result_table(service, job).who.tolist() == named.who.tolist()


def test_bad_rows_are_left_out_and_listed_with_their_place(service: LocalBatchService) -> None:
    job = service.ended_batch(service.batch_work(csv_with_bad_rows(3, 12, 44)))

    assert set(range(1, ROWS + 1)) - set(result_table(service, job).row) == {3, 12, 44}
    assert [(each["row"], each["column"], each["code"]) for each in bad_rows(service, job)] == [
        (3, "x", "wrong_type"),
        (12, "x", "wrong_type"),
        (44, "x", "wrong_type"),
    ]
    assert job.progress is not None
    assert (job.progress.done, job.progress.total) == (ROWS, ROWS)


def test_a_file_with_only_bad_rows_succeeds_with_an_empty_result(service: LocalBatchService) -> None:
    job = service.ended_batch(service.batch_work(csv_with_bad_rows(*range(1, ROWS + 1))))

    assert (job.state, len(result_table(service, job)), len(bad_rows(service, job))) == (State.SUCCEEDED, 0, ROWS)


@pytest.mark.parametrize("output_format", OutputFormat)
@pytest.mark.parametrize("good", [[], [ROWS], [1]], ids=["none", "last", "first"])
def test_chunks_without_a_good_row_have_the_columns_of_the_other_chunks(
    service: LocalBatchService, output_format: OutputFormat, good: list[int]
) -> None:
    lines = csv_with_bad_rows(*(row for row in range(1, ROWS + 1) if row not in good)).decode().splitlines()
    content = "\n".join(f"{line},{index}" if index else f"{line},id" for index, line in enumerate(lines)).encode()
    asked = {"method": Method.PREDICT_PROBA, "output_format": output_format, "id_column": "id"}

    job = service.ended_batch(service.batch_work(content, **asked))

    file = io.BytesIO(service.answer_file(job))
    readers = {OutputFormat.CSV: pd.read_csv, OutputFormat.PARQUET: pd.read_parquet}
    found = readers.get(output_format, lambda file: pd.read_json(file, lines=output_format is OutputFormat.NDJSON))(
        file
    )
    assert len(found) == len(good)
    if good or output_format in readers:
        assert list(found.columns) == ["row", "id", "probability_0", "probability_1"]
        assert found.row.tolist() == good


def test_chunks_without_a_good_row_succeed_if_the_example_rows_do_not_fit_the_signature(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(signature: Signature, rows: list[Any]) -> None:
        raise KeyError("x")

    monkeypatch.setattr(part_prediction, "frame_of", refuse)

    job = service.ended_batch(service.batch_work(csv_with_bad_rows(*range(1, 11))))

    assert (job.state, len(result_table(service, job)), len(bad_rows(service, job))) == (State.SUCCEEDED, ROWS - 10, 10)


def test_a_bad_row_fails_the_batch_with_on_error_fail(service: LocalBatchService) -> None:
    job = service.ended_batch(service.batch_work(csv_with_bad_rows(12), on_error=OnError.FAIL))

    assert job.failure is not None
    assert (job.state, job.failure.code, job.is_dead_letter) == (State.FAILED, "invalid_input", False)
    (finding,) = job.failure.findings
    assert (finding.pointer, finding.column) == ("row 12, column x", "x")
    assert finding.detail == f"found {finding.found}, expected {finding.expected}"


@pytest.mark.parametrize("cell", ["a" * 10**6, "\x01" * 10**6], ids=["letters", "escaped"])
def test_a_cell_of_a_megabyte_is_reported_shortened(service: LocalBatchService, cell: str) -> None:
    content = f"x,y\n{cell},1\n2,3\n".encode()

    skipped = service.ended_batch(service.batch_work(content))
    failed = service.ended_batch(service.batch_work(content, on_error=OnError.FAIL))

    assert len(service.error_file(skipped)) < 500
    assert len(msgspec.json.encode(failed)) < 5_000


def test_column_names_of_a_megabyte_are_reported_shortened(service: LocalBatchService) -> None:
    job = service.ended_batch(service.batch_work(b"x,%s\n1,2\n" % (b"y" * 10**6)))

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
    service: LocalBatchService, content: bytes, words: str
) -> None:
    job = service.ended_batch(service.batch_work(content))

    assert job.failure is not None
    assert (job.failure.code, words in job.failure.detail) == ("invalid_input", True), job.failure.detail


def test_a_changed_file_is_refused(service: LocalBatchService) -> None:
    work = replace(work_of(service), file_sha256="0" * 64)

    assert service.ended_batch(work).failure.code == "file_changed"  # type: ignore[union-attr]


def test_a_missing_file_fails_the_batch(service: LocalBatchService) -> None:
    work = work_of(service)
    job = service.fanned_out(work)
    service.files.delete(work.file_id)

    service.run_until_idle()

    assert service.jobs.read(job.id).failure.code == "unknown_file"  # type: ignore[union-attr]


# Rows on which the estimator fails


class FailsOnSmallX(ClassifierMixin, BaseEstimator):
    """Fails the whole call if a row has too small an x."""

    classes_ = np.array([0, 1])
    error_text = "x is too small"
    extra_answers = 0

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame.x < self.smallest_x).any():
            raise ValueError(self.error_text)
        return np.ones(len(frame) + self.extra_answers, dtype=int)


@pytest.fixture
def failing_estimator(service: LocalBatchService, monkeypatch: pytest.MonkeyPatch) -> FailsOnSmallX:
    estimator = FailsOnSmallX()
    estimator.smallest_x = -2.8
    monkeypatch.setattr(service.estimators, "load", lambda manifest: estimator)
    return estimator


def test_rows_on_which_the_estimator_fails_become_bad_rows(
    service: LocalBatchService, failing_estimator: FailsOnSmallX
) -> None:
    job = service.ended_batch(work_of(service))

    failing = [row for row, x in enumerate(FRAME.x, start=1) if x < failing_estimator.smallest_x]
    assert len(failing) == 2
    assert [(each["row"], each["code"]) for each in bad_rows(service, job)] == [
        (row, "prediction_failed") for row in failing
    ]
    assert set(result_table(service, job).row) == set(range(1, ROWS + 1)) - set(failing)


def test_a_row_on_which_the_estimator_fails_fails_the_batch_with_on_error_fail(
    service: LocalBatchService, failing_estimator: FailsOnSmallX
) -> None:
    job = service.ended_batch(work_of(service, on_error=OnError.FAIL))

    assert job.failure is not None
    assert (job.failure.code, job.failure.findings[0].pointer) == ("invalid_input", "row 1")


def test_rows_are_bad_if_the_estimator_returns_another_number_of_rows(
    service: LocalBatchService, failing_estimator: FailsOnSmallX
) -> None:
    failing_estimator.extra_answers = 1

    job = service.ended_batch(work_of(service))

    assert len(bad_rows(service, job)) == ROWS
    assert bad_rows(service, job)[5]["detail"] == "ValueError: found 2 answers, expected 1"


def test_an_estimator_without_the_method_fails_the_batch_and_not_its_rows(
    service: LocalBatchService, failing_estimator: FailsOnSmallX
) -> None:
    job = service.ended_batch(work_of(service, method=Method.PREDICT_PROBA))

    assert job.failure is not None
    assert (job.state, job.failure.code) == (State.FAILED, "run_failed")
    assert job.failure.detail.startswith("rows 1 to 10: AttributeError: ")


def test_an_estimator_that_fails_on_too_many_rows_fails_the_batch(
    service: LocalBatchService, failing_estimator: FailsOnSmallX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_prediction, "MAX_FAILED_ROWS", 5)
    failing_estimator.smallest_x = 10

    job = service.ended_batch(work_of(service))

    assert job.failure is not None
    assert job.failure.code == "prediction_failed"
    assert "raised on more than 5 of rows 1 to 10" in job.failure.detail


@pytest.mark.parametrize("limit", [1, 100], ids=["too_many_rows", "one_row"])
def test_an_error_message_of_a_megabyte_is_shortened_in_the_failure(
    service: LocalBatchService, failing_estimator: FailsOnSmallX, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(part_prediction, "MAX_FAILED_ROWS", limit)
    failing_estimator.error_text = "found " + "1.5 " * 250_000

    failed = service.ended_batch(work_of(service, on_error=OnError.FAIL))

    assert failed.failure is not None
    assert len(msgspec.json.encode(failed)) < 5_000


def test_an_error_message_of_a_megabyte_is_shortened_in_the_bad_row(
    service: LocalBatchService, failing_estimator: FailsOnSmallX
) -> None:
    failing_estimator.error_text = "found " + "1.5 " * 250_000

    skipped = service.ended_batch(work_of(service))

    assert [len(each["detail"]) for each in bad_rows(service, skipped)] == [500] * 2


# Several targets


@pytest.fixture
def two_targets(tmp_path: Path) -> LocalBatchService:
    """Has a model with two targets, one with two and one with three classes."""
    made = LocalBatchService(tmp_path / "uneven")
    made.pushed(DecisionTreeClassifier(random_state=0).fit(FRAME, UNEVEN), FRAME.head(20), tuple(UNEVEN.columns))
    return made


def test_targets_with_different_numbers_of_classes_have_columns_for_their_own_classes(
    two_targets: LocalBatchService,
) -> None:
    job = two_targets.ended_batch(work_of(two_targets, method=Method.PREDICT_PROBA))

    found = result_table(two_targets, job)
    assert list(found.columns) == ["row", "probability_0_no", "probability_0_yes", *THREE_COLUMNS]
    assert found[THREE_COLUMNS].to_numpy().argmax(axis=1).tolist() == [index % 3 for index in range(ROWS)]
    first = two_targets.answers(FRAME.head(1), Method.PREDICT_PROBA)
    assert first == [[[1.0, 0.0], [1.0, 0.0, 0.0]]]


def test_a_model_with_several_targets_can_be_retrained(two_targets: LocalBatchService) -> None:
    work = two_targets.training_work(FRAME.join(UNEVEN), tuple(UNEVEN.columns))

    assert two_targets.trained(work).state is State.SUCCEEDED
    assert two_targets.manifest(2).classes == [["no", "yes"], ["p", "q", "r"]]


# Chunks


def test_no_worker_holds_a_planned_batch_and_its_chunks_wait(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))

    assert (job.worker, job.progress.done, job.progress.total) == (None, 0, ROWS)  # type: ignore[union-attr]
    assert [(stats.lane, stats.waiting) for stats in service.lanes.stats()] == [(str(Lane.of_chunks(job.id)), CHUNKS)]
    assert str(Lane.of_chunks(job.id)) in service.doorbell.rung


def test_a_worker_takes_one_chunk_and_then_serves_other_lanes(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))

    service.run_chunk(job.id)

    assert service.progress.totals(job.id, 1).chunks == 1
    (stats,) = service.lanes.stats()
    assert (stats.waiting, stats.reserved) == (CHUNKS - 1, 0)


@pytest.mark.parametrize("media_type", ["text/csv", "application/vnd.apache.parquet"])
def test_the_first_progress_has_a_total(service: LocalBatchService, media_type: str) -> None:
    is_csv = media_type == "text/csv"
    content = csv_of(FRAME) if is_csv else FRAME.to_parquet()
    work = service.batch_work(content, media_type)
    manifest = service.manifest(1)
    reports: list[Progress] = []

    made = planner.BatchPlanner(service.files, service.progress, service.folders, service.clock, 10)
    made.plan(service.batch(work), work, manifest, service.estimators.load(manifest), reports.append)

    expected = Progress(0, len(content), "bytes", "cut", 0) if is_csv else Progress(0, ROWS, "rows", "cut", 0)
    assert reports[0] == expected


def test_progress_counts_rows_whose_predictions_are_on_the_disk(service: LocalBatchService) -> None:
    job = service.fanned_out(service.batch_work(csv_with_bad_rows(3)))

    service.run_chunk(job.id)

    progress = service.jobs.read(job.id).progress
    assert progress is not None
    assert (progress.done, progress.total, progress.unit, progress.stage, progress.errors) == (
        10,
        ROWS,
        "rows",
        "predict",
        1,
    )


def test_chunks_are_queued_one_window_at_a_time(service: LocalBatchService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "MAX_OPEN_CHUNKS", 2)
    job = service.fanned_out(work_of(service))
    waiting = service.lanes.stats()[0].waiting

    for _ in range(CHUNKS):
        service.run_chunk(job.id)

    assert waiting == 2
    assert service.jobs.read(job.id).state is State.QUEUED
    service.run_until_idle()
    assert service.jobs.read(job.id).state is State.SUCCEEDED


def test_a_chunk_that_runs_twice_counts_once_and_writes_the_same_bytes(service: LocalBatchService) -> None:
    work = service.batch_work(csv_with_bad_rows(3))
    job = service.fanned_out(work)
    again = service.jobs.read(chunk_id(job.id, 1, 0))
    twin = service.jobs.read_work(again.id)[0]
    service.run_chunk(job.id)
    written = service.folders.part(job.id, 1, 0).read_bytes()

    service.progress.undo_done(job.id, 1, 0)
    service.chunks.run(again, twin)  # type: ignore[arg-type]
    service.chunks.run(again, twin)  # type: ignore[arg-type]

    assert service.folders.part(job.id, 1, 0).read_bytes() == written
    assert service.progress.totals(job.id, 1).rows == 10


# Cancel, timeout, dead letters


def test_a_canceled_batch_ends_at_once_and_its_chunks_end_when_claimed(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    service.run_chunk(job.id)

    service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
    service.run_until_idle()

    assert service.jobs.read(job.id).state is State.CANCELED
    assert service.progress.totals(job.id, 1).chunks == 1
    assert service.jobs.read(chunk_id(job.id, 1, 3)).failure.code == "batch_ended"  # type: ignore[union-attr]
    assert service.lanes.stats() == []


def test_a_cancel_while_a_chunk_runs_leaves_the_batch_canceled(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.fanned_out(work_of(service))
    original = chunk_runner.write_part

    def cancel_after(*args: Any) -> None:
        original(*args)
        if not service.jobs.read(job.id).is_final:
            service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))

    monkeypatch.setattr(chunk_runner, "write_part", cancel_after)
    service.run_until_idle()

    assert service.jobs.read(job.id).state is State.CANCELED
    assert service.folders.outcome(job.id) is None


def test_a_cancel_while_the_file_is_split_leaves_no_chunk(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.batch(work_of(service))
    original = service.folders.save_plan

    def cancel_after(*args: Any) -> Any:
        service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
        return original(*args)

    monkeypatch.setattr(service.folders, "save_plan", cancel_after)
    service.run_until_idle()

    ended = service.jobs.read(job.id)
    assert (ended.state, ended.is_fanned_out) == (State.CANCELED, False)
    assert service.progress.chunks([chunk_id(job.id, 1, index) for index in range(CHUNKS)]) == {}


def test_a_cancel_while_the_parts_are_joined_leaves_the_batch_canceled(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = service.batch(work_of(service))
    original = service.folders.save_outcome

    def cancel_after(*args: Any) -> Any:
        service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
        return original(*args)

    monkeypatch.setattr(service.folders, "save_outcome", cancel_after)
    service.run_until_idle()

    assert service.jobs.read(job.id).state is State.CANCELED


@pytest.mark.parametrize(
    ("call_s", "row_s", "expected"),
    [(0.0, 1e-3, 300), (0.0, 1e-9, 20_000), (0.0, 0.024, 12), (0.0, 1.0, 1), (0.004, 1e-4, 2_900), (0.4, 1e-4, 256)],
    ids=["usual", "quick", "slow", "slowest", "with_a_cost_a_call", "with_little_but_a_cost_a_call"],
)
def test_a_chunk_has_as_many_rows_as_the_model_predicts_in_its_time(
    tmp_path: Path, fitted: Any, monkeypatch: pytest.MonkeyPatch, call_s: float, row_s: float, expected: int
) -> None:
    service = LocalBatchService(tmp_path, chunk_rows=20_000)
    service.pushed(fitted, FRAME.head(20))
    many = pd.concat([FRAME] * (40_000 // ROWS), ignore_index=True)
    timed: list[float] = []

    def shortest_s(call: Any, frame: Any) -> float:
        timed.append(call_s + row_s * len(frame))
        return timed[-1]

    monkeypatch.setattr(planner, "_shortest_s", shortest_s)

    job = service.fanned_out(service.batch_work(csv_of(many)))

    assert service.plan(job).ranges[0].n_rows == pytest.approx(expected, rel=0.03)
    assert sum(timed) < 6  # timing a slow model does not take long


def test_a_batch_that_takes_too_long_fails_with_a_timeout(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    for _ in range(100):
        service.clock()

    service.batches.repair()

    assert service.jobs.read(job.id).failure.code == "timeout"  # type: ignore[union-attr]


def test_a_chunk_that_kills_its_workers_makes_the_batch_a_dead_letter_with_the_rows(
    service: LocalBatchService,
) -> None:
    job = service.fanned_out(work_of(service))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(service.chunks, "_predict", lambda *_: (_ for _ in ()).throw(ProcessKilled("poison")))
        for _ in range(3):
            service.lanes.enqueue_due(float("inf"))
            with pytest.raises(ProcessKilled):
                service.run_chunk(job.id)
            service.recover_jobs_of_dead_workers()
            service.lanes.enqueue_due(float("inf"))
            # Put the chunk in front of the other ones again.
            lane = service.jobs.lanes[str(Lane.of_chunks(job.id))]
            lane.sort(key=lambda entry: entry.job_id != chunk_id(job.id, 1, 0)) if lane else None

    service.batches.repair()

    ended = service.jobs.read(job.id)
    assert ended.failure == Failure("worker_lost", "rows 1 to 10: the process died")
    assert (ended.state, ended.is_dead_letter) == (State.FAILED, True)
    assert [letter.id for letter in service.jobs.dead_letters(None, 10).jobs] == [job.id]


def test_a_chunk_is_retried_after_a_transient_error(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = chunk_runner.write_part, []

    def full_once(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        original(*args)

    monkeypatch.setattr(chunk_runner, "write_part", full_once)
    job = service.ended_batch(work_of(service))

    assert job.state is State.SUCCEEDED
    assert len(calls) == CHUNKS + 1


# Retry


def retried(service: LocalBatchService, job: Job, work: BatchWork) -> Job:
    again = service.jobs.read(job.id).retried_as(new_id("job"), service.clock(), 3)
    service.jobs.create(again, replace(work, resumes=job.id))
    service.run_until_idle()
    return service.jobs.read(again.id)


def test_a_retry_runs_only_the_missing_chunks(
    service: LocalBatchService, fitted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = service.batch_work(csv_with_bad_rows(3))
    job = service.fanned_out(work)
    service.run_chunk(job.id)
    service.run_chunk(job.id)
    service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
    service.run_until_idle()
    ran = []
    original = chunk_runner.read_range
    monkeypatch.setattr(chunk_runner, "read_range", lambda *args: ran.append(args[3].index) or original(*args))

    again = retried(service, job, work)

    assert ran == [2, 3, 4]
    good = [row for row in range(1, ROWS + 1) if row != 3]
    assert again.state is State.SUCCEEDED
    assert result_table(service, again).row.tolist() == good
    assert result_table(service, again).prediction.tolist() == fitted.predict(FRAME)[[row - 1 for row in good]].tolist()
    assert [each["row"] for each in bad_rows(service, again)] == [3]


def test_a_retry_runs_all_chunks_if_the_parts_are_gone(service: LocalBatchService) -> None:
    work = work_of(service)
    job = service.fanned_out(work)
    service.run_chunk(job.id)
    service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
    service.run_until_idle()
    service.folders.sweep(lambda batch_id, *, is_old: True, before=0.0)

    again = retried(service, job, work)

    assert (again.state, len(result_table(service, again))) == (State.SUCCEEDED, ROWS)


# Deaths at every write

WRITES = [
    ("folders", "save_plan", 0),
    ("progress", "open", 0),
    ("progress", "add", 0),
    *[("progress", "record_done", spared) for spared in range(CHUNKS)],
    ("folders", "save_outcome", 0),
    *[("jobs", "replace", spared) for spared in range(20)],
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name", "spared"), WRITES, ids=[f"{name}-{spared}" for _, name, spared in WRITES])
def test_a_batch_survives_the_death_of_a_worker_at_every_write(
    service: LocalBatchService, fitted: Any, owner: str, name: str, spared: int, after: bool
) -> None:
    work = service.batch_work(csv_with_bad_rows(3, 30))
    job = service.batch(work)
    killer = KillAtCall(getattr(service, owner), name, after=after, spared=spared)

    run_despite_deaths(service)

    ended = service.jobs.read(job.id)
    assert killer.deaths == 1
    assert (ended.state, ended.failure) == (State.SUCCEEDED, None)
    good = [row for row in range(1, ROWS + 1) if row not in (3, 30)]
    assert result_table(service, ended).row.tolist() == good
    assert result_table(service, ended).prediction.tolist() == fitted.predict(FRAME)[[row - 1 for row in good]].tolist()
    assert [each["row"] for each in bad_rows(service, ended)] == [3, 30]
    assert service.result(ended)["errors"] == 2
    finals = [moment for moment in ended.timeline if moment.event.value == "finished"]
    assert len(finals) == 1


def run_despite_deaths(service: LocalBatchService) -> None:
    """Settles; the reaper hands back the jobs of each process that dies."""
    for _ in range(30):
        try:
            service.run_until_idle()
        except ProcessKilled:
            service.recover_jobs_of_dead_workers()
        else:
            return
    raise AssertionError("processes keep dying")


def test_a_row_that_was_bad_only_in_a_run_that_died_is_good(
    service: LocalBatchService, failing_estimator: FailsOnSmallX, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_runner, "write_part", chunk_runner.write_part)  # restored after the test
    job = service.batch(work_of(service))
    killer = KillAtCall(chunk_runner, "write_part", after=False)
    with pytest.raises(ProcessKilled):
        service.run_until_idle()
    failing_estimator.smallest_x = -10.0
    service.recover_jobs_of_dead_workers()

    service.run_until_idle()

    ended = service.jobs.read(job.id)
    assert killer.deaths == 1
    assert (service.result(ended)["errors"], bad_rows(service, ended), len(result_table(service, ended))) == (
        0,
        [],
        ROWS,
    )


def test_a_second_plan_for_a_batch_is_dropped(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    plan = service.plan(job)

    late = service.folders.save_plan(job.id, replace(plan, number=9, ranges=plan.ranges[:1]))

    assert late == plan


def test_a_second_join_keeps_the_first_outcome(service: LocalBatchService) -> None:
    job = service.ended_batch(work_of(service))
    before, outcome = service.answer_file(job), service.folders.outcome(job.id)

    assert outcome is not None
    assert service.folders.save_outcome(job.id, replace(outcome, attempt=9, sha256="other")) == outcome
    assert service.answer_file(job) == before


def test_a_part_that_is_lost_before_the_join_is_written_again(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    for _ in range(CHUNKS):
        service.run_chunk(job.id)
    service.folders.part(job.id, 1, 2).unlink()

    service.run_until_idle()

    ended = service.jobs.read(job.id)
    assert (ended.state, len(result_table(service, ended))) == (State.SUCCEEDED, ROWS)


def test_a_batch_whose_folder_is_lost_is_planned_again(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    service.run_chunk(job.id)
    service.folders.sweep(lambda batch_id, *, is_old: True, before=0.0)

    service.run_until_idle()

    ended = service.jobs.read(job.id)
    assert (ended.state, len(result_table(service, ended))) == (State.SUCCEEDED, ROWS)


def test_chunks_that_were_lost_with_the_store_are_added_again(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    for index in range(CHUNKS):
        lost = chunk_id(job.id, 1, index)
        service.rewritten(service.jobs.read(lost), lambda chunk: chunk.cancel_requested(service.clock(), RETENTION_S))
        service.jobs.delete(lost)

    service.batches.repair()

    assert [stats.waiting for stats in service.lanes.stats()] == [CHUNKS]


def test_the_reaper_adds_chunks_that_could_not_be_added(
    service: LocalBatchService, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = service.progress.add
    monkeypatch.setattr(service.progress, "add", lambda chunks: (_ for _ in ()).throw(UnavailableError("away")))
    job = service.fanned_out(work_of(service))
    monkeypatch.setattr(service.progress, "add", original)

    service.run_until_idle()

    assert service.jobs.read(job.id).state is State.SUCCEEDED


def test_two_workers_share_the_chunks_of_a_batch(service: LocalBatchService) -> None:
    job = service.fanned_out(work_of(service))
    second = LaneConsumer(
        service.jobs,
        service.lanes,
        service.doorbell,
        service.runners,
        service.clock,
        jitter=lambda: 0.5,
        worker="worker-2",
        limits=RunLimits(lease_s=30.0, retention_s=RETENTION_S, max_result_bytes=10_000),
        stop_by=lambda: float("inf"),
        end_process=lambda: None,
    )

    for _ in range(3):
        service.run_chunk(job.id)
        second.drain(str(Lane.of_chunks(job.id)))

    workers = {service.jobs.read(chunk_id(job.id, 1, index)).worker for index in range(CHUNKS)}
    assert workers == {"worker-1", "worker-2"}
    assert service.jobs.read(job.id).state is State.QUEUED


def test_only_a_batch_that_succeeded_loses_its_parts(service: LocalBatchService) -> None:
    done = service.ended_batch(work_of(service))
    job = service.fanned_out(work_of(service))
    service.run_chunk(job.id)
    service.rewritten(job, lambda present: present.cancel_requested(service.clock(), RETENTION_S))
    service.run_until_idle()

    assert not (service.batch_folder / done.id / "parts").exists()
    assert service.folders.part(job.id, 1, 0).exists()
