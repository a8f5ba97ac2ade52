"""A push proves itself: the worker's answers in every format are those of the process that fitted the model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import skops.io
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from queuecast.client.notebook_answers import MAX_ROWS, notebook_answers
from queuecast.client.pushing import file_parts
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table
from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.signature import Missing
from queuecast.domain.work import ImportWork, Method
from tests.worker.model_fixtures import MODEL, LocalService
from worker.imports.notebook_comparison import NotebookAnswers
from worker.models import frames

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = pd.DataFrame({"a": pd.Series([None, "x", "NA", "y"] * 10, dtype=object)})
ENCODER = OneHotEncoder(handle_unknown="ignore").fit(WORDS)
NUMBERS = pd.DataFrame({"b": np.arange(40.0), "c": np.arange(40.0) ** 2 % 7})
CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression()).fit(NUMBERS, ["no", "yes"] * 20)


def failure_of(job: Job) -> Failure:
    assert job.state is State.FAILED
    assert job.failure is not None
    return job.failure


def pushed_with(service: LocalService, estimator: Any, rows: Any, answers: Any) -> Job:
    """A push whose process had these answers."""
    work = service.import_work(skops_bytes(estimator), rows)
    table = json.dumps(example_table(rows) | {"answers": answers}).encode()
    example = service.stored(table, TABLE_MEDIA_TYPE)
    return service.ran(JobType.IMPORT, ModelRef(MODEL), ImportWork(work.model_file_id, example.id, ("y",)))


def skops_bytes(estimator: Any) -> bytes:
    data: bytes = skops.io.dumps(estimator)
    return data


def test_the_golden_rows_keep_the_outputs_of_the_notebook(service: LocalService) -> None:
    service.result(service.pushed(CLASSIFIER, NUMBERS))

    golden = json.loads(service.models.file(MODEL, 1, "golden.json"))
    assert service.manifest(1).compared_rows == 40
    assert golden["rows"] == NUMBERS.to_dict("records")
    assert golden["outputs"] == {
        method: getattr(CLASSIFIER, method)(NUMBERS).tolist()
        for method in ("predict", "predict_proba", "decision_function")
    }


def test_a_push_without_answers_is_marked_as_not_compared(service: LocalService) -> None:
    service.result(service.pushed(skops_bytes(CLASSIFIER), NUMBERS))

    assert service.manifest(1).compared_rows == 0


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_a_different_answer_refuses_the_push_with_row_method_and_both_answers(
    service: LocalService, method: str
) -> None:
    answers = notebook_answers(CLASSIFIER, NUMBERS)
    assert answers is not None
    other = {"predict": "maybe", "predict_proba": [0.25, 0.75], "decision_function": 12.5}[method]
    answers["outputs"][method][7] = other

    failure = failure_of(pushed_with(service, CLASSIFIER, NUMBERS, answers))

    (finding,) = failure.findings
    assert failure.code == "not_reproducible"
    assert f'{method} of the row {{"b": 7.0, "c": 0.0}}, sent as JSON: found ' in failure.detail
    assert (finding.code, finding.column) == ("not_reproducible", None)
    assert finding.expected == (other if isinstance(other, str) else json.dumps(other))


def test_a_method_that_only_the_notebook_answers_refuses_the_push(service: LocalService) -> None:
    answers = notebook_answers(CLASSIFIER, NUMBERS)
    assert answers is not None
    answers["outputs"]["transform"] = [[0.0]] * 40
    answers["alone_outputs"]["transform"] = [[0.0]] * len(answers["alone"])

    assert "found AttributeError" in failure_of(pushed_with(service, CLASSIFIER, NUMBERS, answers)).detail


def test_a_different_answer_to_a_row_alone_refuses_the_push(service: LocalService) -> None:
    answers = notebook_answers(CLASSIFIER, NUMBERS)
    assert answers is not None
    answers["alone_outputs"]["predict"][0] = "maybe"

    detail = failure_of(pushed_with(service, CLASSIFIER, NUMBERS, answers)).detail

    assert 'predict of the row {"b": 0.0, "c": 0.0}, sent alone as JSON: found no, expected maybe' in detail


@pytest.mark.parametrize(
    "change",
    [
        lambda answers: answers["outputs"]["predict"].pop(),
        lambda answers: answers["alone_outputs"]["predict"].pop(),
        lambda answers: answers["outputs"].pop("predict"),
        lambda answers: answers["alone"].append(40),
        lambda answers: answers["rows"][3].pop(),
        lambda answers: [row.append(0) for row in answers["rows"]],
    ],
    ids=["short", "short_alone", "no_method", "no_such_row", "ragged", "wide"],
)
def test_answers_that_do_not_fit_their_rows_are_refused(service: LocalService, change: Any) -> None:
    answers = notebook_answers(CLASSIFIER, NUMBERS)
    change(answers)

    assert failure_of(pushed_with(service, CLASSIFIER, NUMBERS, answers)).code == "invalid_input"


def test_null_that_became_nan_refuses_the_push(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(frames.MISSING_VALUES, Missing.NONE, np.nan)

    failure = failure_of(service.pushed(ENCODER, WORDS))

    assert failure.code == "not_reproducible"
    assert 'transform of the row {"a": null}, sent ' in failure.detail
    assert "expected [0.0, 0.0, 0.0, 1.0]" in failure.detail


def test_a_word_that_a_format_loses_refuses_the_push_with_its_column(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.tables.text_cells.words_for_missing", lambda known, *, may_be_missing: ("NA",))

    failure = failure_of(service.pushed(ENCODER, WORDS))

    assert 'transform of the row {"a": "NA"}, sent as CSV: found [0.0, 0.0, 0.0, 1.0]' in failure.detail
    assert "column 'a' does not arrive as it was" in failure.detail
    assert failure.findings[0].column == "a"


@pytest.mark.parametrize(
    ("estimator", "rows", "target"),
    [
        (LinearRegression(), NUMBERS.to_numpy(), np.arange(40.0)),
        (LinearRegression(), NUMBERS.astype("float32"), np.arange(40.0) * 1e6),
        (LogisticRegression(), scipy.sparse.csr_matrix(NUMBERS.to_numpy()), [0, 1] * 20),
        (LogisticRegression(), NUMBERS.to_numpy().tolist(), [0, 1] * 20),
        (MultiOutputClassifier(LogisticRegression()), NUMBERS, np.array([[0, 1], [1, 2]] * 20)),
        (OneHotEncoder(handle_unknown="ignore"), WORDS.to_numpy(), None),
        (OneHotEncoder(handle_unknown="ignore"), pd.DataFrame({"a": ["", "NA", "x", "\r", 'q"'] * 8}), None),
    ],
    ids=["array", "single", "sparse", "lists", "several_targets", "objects", "words"],
)
def test_every_kind_of_rows_is_compared(service: LocalService, estimator: Any, rows: Any, target: Any) -> None:
    ended = service.pushed(estimator.fit(rows, target), rows)

    assert ended.state is State.SUCCEEDED, ended.failure
    assert service.manifest(1).compared_rows == 40


def test_the_rows_to_compare_have_each_word_and_missing_values() -> None:
    frame = pd.DataFrame({"n": np.arange(450.0), "w": ["often"] * 450})
    frame.loc[401, "n"] = np.nan
    frame.loc[[402, 403], "w"] = ["rare", None]

    answers = notebook_answers(OneHotEncoder(handle_unknown="ignore").fit(frame), frame)

    assert answers is not None
    rows = answers["rows"]
    assert len(rows) == len(answers["outputs"]["transform"]) == MAX_ROWS
    assert [row for row in rows if row[0] is None or 402 <= row[0] <= 403] == [
        [None, "often"],
        [402.0, "rare"],
        [403.0, None],
    ]


def test_an_estimator_without_outputs_has_no_answers() -> None:
    assert notebook_answers(object(), NUMBERS) is None


def test_a_file_from_the_command_line_is_compared_with_the_process_that_pushed_it(
    service: LocalService, tmp_path: Path
) -> None:
    (tmp_path / "m.skops").write_bytes(skops_bytes(CLASSIFIER))
    NUMBERS.assign(y=["no", "yes"] * 20).to_csv(tmp_path / "rows.csv", index=False)
    with file_parts(tmp_path / "m.skops", tmp_path / "rows.csv", ["y"]) as parts:
        model_file = service.stored(skops_bytes(CLASSIFIER), "application/octet-stream")
        example = service.stored(parts["example"][1], parts["example"][2])

    service.result(service.ran(JobType.IMPORT, ModelRef(MODEL), ImportWork(model_file.id, example.id, ("y",))))

    assert service.manifest(1).compared_rows == 40
    assert [column.name for column in service.manifest(1).signature.columns] == ["b", "c"]


def test_fewer_rows_of_a_wide_table_are_compared_and_the_manifest_says_how_many(service: LocalService) -> None:
    values = np.random.default_rng(0).normal(size=(300, 3000))
    frame = pd.DataFrame(values, columns=[f"c{at}" for at in range(3000)])
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, [0, 1, 2] * 100)

    service.result(service.pushed(estimator, frame))

    assert service.manifest(1).compared_rows == 66
    golden = json.loads(service.models.file(MODEL, 1, "golden.json"))
    assert golden["outputs"]["predict"] == estimator.predict(pd.DataFrame(golden["rows"])).tolist()


@pytest.mark.parametrize("n_rows", [1, 19, 39, 200])
def test_answers_of_a_wide_table_are_cut_to_a_number_of_cells(n_rows: int) -> None:
    numbers = list(range(n_rows))
    alone = numbers[:: max(1, n_rows // 20)]
    answers = NotebookAnswers(
        [[number] * 100 for number in numbers],
        {Method.PREDICT: numbers},
        alone,
        {Method.PREDICT: [-number for number in alone]},
    )

    cut = answers.bounded(max_cells=2500)

    assert len(cut.rows) <= 28
    assert [row[0] for row in cut.rows] == cut.outputs[Method.PREDICT] == sorted(cut.outputs[Method.PREDICT])
    assert 0 < len(cut.alone) <= 3
    assert [-cut.outputs[Method.PREDICT][at] for at in cut.alone] == cut.alone_outputs[Method.PREDICT]
    assert answers.bounded() is answers
