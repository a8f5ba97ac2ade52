"""With `on_error: skip` a training leaves out bad rows, and gives the version that a file without them gives."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method, OnError, TrainingWork
from tests.worker.model_fixtures import MODEL, LocalService
from tests.worker.process_deaths import ProcessKilled, kill_at_step
from worker.labelled.training_files import TrainingFile
from worker.labelled.training_rows import read_training_rows

pytestmark = pytest.mark.filterwarnings("ignore")

RANDOM = np.random.default_rng(7)
X = pd.DataFrame({"a": RANDOM.normal(size=300).round(6), "b": RANDOM.integers(0, 9, 300)})
LABELS = (X["a"] + X["b"] / 9 + RANDOM.normal(size=300) / 2 > 0.5).astype(int)
NUMBERS = X["a"] * 2 + X["b"]
SPLIT = queuecast.holdout(X)
BAD_LINES = {3: "x,1,1", 50: "1.5,2,", 51: "1.5", 120: "?,?,1", 300: "1,2.5,1"}
"""The number of a line -> a line that does not fit, before it."""
PLACES = [(3, "a"), (51, "target"), (53, None), (123, "a"), (123, "b"), (304, "b")]


def csv_of(target: Any) -> str:
    return X.assign(target=target).to_csv(index=False)


def with_bad_lines(target: Any, bad: dict[int, str] = BAD_LINES) -> bytes:
    header, *lines = csv_of(target).splitlines()
    for number in sorted(bad, reverse=True):
        lines.insert(number - 1, bad[number])
    return "\n".join([header, *lines]).encode()


@pytest.fixture
def labels(service: LocalService) -> LocalService:
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    rows = X.iloc[SPLIT.train]
    assert (
        service.pushed(estimator.fit(rows, LABELS.iloc[SPLIT.train]), rows, holdout=SPLIT.rule).state is State.SUCCEEDED
    )
    return service


@pytest.fixture
def numbers(service: LocalService) -> LocalService:
    estimator = LinearRegression().fit(X, NUMBERS)
    assert service.pushed(estimator, X).state is State.SUCCEEDED
    return service


def trained(service: LocalService, rows: bytes, on_error: OnError = OnError.SKIP) -> Job:
    work = service.training_work(rows, promote=PromotionPolicy.NEVER)
    return service.trained(replace(work, on_error=on_error))


def listed(service: LocalService, job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in service.folders.bad_rows_of_training(job.id).read_text().splitlines()]


def test_the_version_is_that_of_the_good_rows_alone(labels: LocalService) -> None:
    clean = labels.result(trained(labels, csv_of(LABELS).encode(), OnError.FAIL))
    job = trained(labels, with_bad_lines(LABELS))
    result = labels.result(job)

    assert result["rows"] == clean["rows"] | {"bad": 5}
    assert (result["verdict"], result["challenger"]["score"]) == (clean["verdict"], clean["challenger"]["score"])
    np.testing.assert_array_equal(
        labels.answers(X, Method.PREDICT_PROBA, result["version"]),
        labels.answers(X, Method.PREDICT_PROBA, clean["version"]),
    )
    assert [(cell["row"], cell["column"]) for cell in result["bad_cells"]] == PLACES
    assert [line["row"] for line in listed(labels, job)] == [3, 51, 53, 123, 304]
    assert [error["column"] for error in listed(labels, job)[3]["errors"]] == ["a", "b"]
    assert result["reason"].endswith("; 5 bad rows of the file left out; promote is never")


def test_by_default_a_bad_row_fails_the_training(labels: LocalService) -> None:
    job = labels.trained(labels.training_work(with_bad_lines(LABELS)))

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.detail.startswith("the file does not fit: row 3, column a: found 'x', expected a number")
    assert not labels.folders.bad_rows_of_training(job.id).exists()


def test_a_file_without_bad_rows_has_none_left_out(labels: LocalService) -> None:
    job = trained(labels, csv_of(LABELS).encode())

    assert (labels.result(job)["rows"]["bad"], labels.result(job)["bad_cells"], listed(labels, job)) == (0, [], [])


@pytest.mark.parametrize("cell", ["", "NA", "high"])
def test_a_target_that_is_missing_or_no_number_makes_a_bad_row(numbers: LocalService, cell: str) -> None:
    result = numbers.result(trained(numbers, with_bad_lines(NUMBERS, {10: f"1,2,{cell}"})))

    assert (result["rows"]["bad"], result["bad_cells"][0]["column"]) == (1, "target")
    np.testing.assert_allclose(numbers.answers(X, Method.PREDICT, 2), NUMBERS, atol=1e-9)


def test_a_word_among_numbered_labels_makes_a_bad_row(labels: LocalService) -> None:
    result = labels.result(trained(labels, with_bad_lines(LABELS, {10: "1,2,yes"})))

    assert result["bad_cells"] == [
        {"row": 10, "column": "target", "code": "wrong_type", "detail": "found 'yes', expected a number"}
    ]
    assert set(labels.answers(X, Method.PREDICT, 2)) == {0, 1}


@pytest.mark.parametrize(("bad", "state"), [(300, State.SUCCEEDED), (301, State.FAILED)])
def test_a_file_of_which_most_rows_are_bad_fails_and_keeps_the_list(
    labels: LocalService, bad: int, state: State
) -> None:
    rows = csv_of(LABELS) + "x,?,\n" * bad

    job = trained(labels, rows.encode())

    assert (job.state, len(listed(labels, job))) == (state, bad)
    if job.failure is not None:
        assert job.failure.detail == (
            "301 of the 601 rows of the file are bad, more than half: row 301, column a: found 'x', expected a number "
            "(and 902 more)"
        )
        assert (len(job.failure.findings), job.failure.total) == (20, 903)


def test_a_run_after_a_lost_one_says_the_same(labels: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    work = replace(labels.training_work(with_bad_lines(LABELS)), on_error=OnError.SKIP)
    job = labels.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    with pytest.raises(ProcessKilled):
        labels.training.run(job, work, kill_at_step(labels.models, labels.aliases, "promote"))

    result = labels.training.run(labels.lost(job), work, lambda progress: None)

    assert (result.value["rows"]["bad"], len(result.value["bad_cells"])) == (5, 6)
    assert labels.models.versions(MODEL) == [1, 2]


@pytest.mark.parametrize("range_rows", [1, 7, 10_000])
@pytest.mark.parametrize("fmt", FileFormat)
def test_the_good_rows_of_each_format_are_read(
    labels: LocalService, tmp_path: Path, fmt: FileFormat, range_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.labelled.training_rows.RANGE_ROWS", range_rows)
    frame = X.head(40).assign(target=LABELS.head(40)).astype({"b": float, "target": float})
    frame.loc[5, "b"], frame.loc[9, "target"], frame.loc[[30, 31], ["b", "target"]] = 1.5, None, [None, None]
    path, list_path = tmp_path / "rows", tmp_path / "list" / "bad"
    if fmt is FileFormat.PARQUET:
        frame.to_parquet(path, row_group_size=11)
    elif fmt is FileFormat.CSV:
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)

    champion: Manifest = labels.manifest(1)
    read = read_training_rows(
        [TrainingFile(path, fmt)], champion, TrainingWork("f", "0", ("target",)), left_out=list_path
    )

    good = [at for at in range(40) if at not in (5, 9, 30, 31)]
    pd.testing.assert_frame_equal(read.features, X.iloc[good].reset_index(drop=True))
    assert read.target.tolist() == LABELS.iloc[good].tolist()
    bad = [json.loads(line) for line in list_path.read_text().splitlines()]
    assert [line["row"] for line in bad] == [6, 10, 31, 32]
    assert read.bad_rows == 4
