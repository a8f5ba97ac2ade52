"""Extra columns that only a worker finds: those of a Parquet file, and of a late line of NDJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns
from queuecast.domain.job import State
from queuecast.domain.work import TrainingWork
from tests.worker.batch_fixtures import LocalBatchService

FRAME = pd.DataFrame({"x": np.linspace(-3, 3, 150), 'y"': np.arange(150) % 7 * 1.0})
PLAIN = FRAME.rename(columns={'y"': "y"})
EXTRA = PLAIN.assign(note="n", who=range(150))
TARGET = (FRAME.x > 0).astype(int)
PARQUET, NDJSON = "application/vnd.apache.parquet", "application/x-ndjson"


@pytest.fixture(params=[PLAIN, FRAME], ids=["names", "a name with a quote"])
def frame(request: pytest.FixtureRequest) -> pd.DataFrame:
    frame: pd.DataFrame = request.param
    return frame


def served(folder: Path, frame: pd.DataFrame) -> tuple[LocalBatchService, Any]:
    service = LocalBatchService(folder, chunk_rows=200)
    fitted = LogisticRegression().fit(frame, TARGET)
    assert service.pushed(fitted, frame, ("t",)).state is State.SUCCEEDED
    return service, fitted


def lines(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = frame.to_dict("records")
    return rows


def ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def training_work(
    service: LocalBatchService, content: bytes, kind: str, choice: ExtraColumns = ExtraColumns.IGNORE
) -> TrainingWork:
    stored = service.stored(content, kind)
    return TrainingWork(stored.id, stored.sha256, ("t",), extra_columns=choice)


def test_extra_columns_of_parquet_are_noted_in_the_batch(tmp_path: Path) -> None:
    service, fitted = served(tmp_path, PLAIN)

    job = service.ended_batch(service.batch_work(EXTRA.to_parquet(), PARQUET, id_column="who"))

    assert (job.state, job.ignored_columns) == (State.SUCCEEDED, IgnoredColumns(("note",), 1))
    answers = [int(line.split(b",")[2]) for line in service.answer_file(job).splitlines()[1:]]
    assert answers == fitted.predict(PLAIN).tolist()


def test_a_batch_finds_its_ignored_columns_once(tmp_path: Path) -> None:
    service, _ = served(tmp_path, PLAIN)
    job = service.fanned_out(service.batch_work(EXTRA.to_parquet(), PARQUET))

    plan = service.folders.plan(job.id)

    assert plan is not None
    assert plan.ignored_columns == job.ignored_columns == IgnoredColumns(("note", "who"), 2)


def test_refused_columns_of_parquet_fail_the_batch(tmp_path: Path) -> None:
    service, _ = served(tmp_path, PLAIN)

    job = service.ended_batch(service.batch_work(EXTRA.to_parquet(), PARQUET, extra_columns=ExtraColumns.REFUSE))

    assert job.failure is not None
    (finding,) = job.failure.findings
    assert (finding.code, finding.columns) == ("unknown_column", ("note", "who"))


def test_a_late_line_of_ndjson_with_a_refused_column_is_a_bad_row(tmp_path: Path, frame: pd.DataFrame) -> None:
    service, fitted = served(tmp_path, frame)
    rows = lines(frame.assign(who=range(150)))
    rows[120] |= {"note": "n", "other": 1}
    work = service.batch_work(ndjson(rows), NDJSON, id_column="who", extra_columns=ExtraColumns.REFUSE)

    job = service.ended_batch(work)

    assert [json.loads(line) for line in service.error_file(job).splitlines()] == [
        {
            "row": 121,
            "column": "note",
            "code": "unknown_column",
            "detail": "found the columns note, other, expected only columns that the model has",
        }
    ]
    answers = [int(line.split(b",")[2]) for line in service.answer_file(job).splitlines()[1:]]
    assert answers == np.delete(fitted.predict(frame), 120).tolist()


def test_a_late_line_of_ndjson_with_an_ignored_column_is_a_row(tmp_path: Path, frame: pd.DataFrame) -> None:
    service, fitted = served(tmp_path, frame)
    rows = lines(frame)
    rows[120] |= {"note": "n"}

    job = service.ended_batch(service.batch_work(ndjson(rows), NDJSON))

    answers = [int(line.split(b",")[1]) for line in service.answer_file(job).splitlines()[1:]]
    assert answers == fitted.predict(frame).tolist()


def test_a_training_notes_the_extra_columns_of_parquet(tmp_path: Path) -> None:
    service, _ = served(tmp_path, PLAIN)

    job = service.trained(training_work(service, EXTRA.assign(t=TARGET).to_parquet(), PARQUET))

    assert (job.state, job.ignored_columns) == (State.SUCCEEDED, IgnoredColumns(("note", "who"), 2))


@pytest.mark.parametrize("kind", ["parquet", "late line"])
def test_a_training_refuses_extra_columns_on_demand(tmp_path: Path, kind: str) -> None:
    service, _ = served(tmp_path, PLAIN)
    rows = lines(PLAIN.assign(t=TARGET))
    rows[120] |= {"note": "n"}
    parquet = EXTRA.assign(t=TARGET).to_parquet()
    content, kind = (parquet, PARQUET) if kind == "parquet" else (ndjson(rows), NDJSON)

    job = service.trained(training_work(service, content, kind, ExtraColumns.REFUSE))

    assert job.failure is not None
    assert (job.failure.findings[0].code, service.champion()) == ("unknown_column", 1)
