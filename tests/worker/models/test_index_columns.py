"""Files that pandas wrote with the index of the frame: the model's columns are found beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier

from queuecast import holdout
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.work import Method, TrainingWork
from queuecast.skops_files import skops_bytes
from tests.worker.model_fixtures import LocalService
from worker.models.inference import infer_held_frame
from worker.models.loading import load_estimator
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

N_ROWS = 40
FRAME = pd.DataFrame(
    {"height": np.arange(N_ROWS) % 9 / 4, "width": np.arange(N_ROWS) % 5}, index=[f"r{at}" for at in range(N_ROWS)]
)
TARGET = np.where(FRAME["height"] * FRAME["width"] > 3, "large", "small")


def _file_answers(service: LocalService, path: Path, fmt: FileFormat, version: int) -> list[Any]:
    manifest = service.manifest(version)
    estimator = load_estimator(service.models.file("model", version, "model.skops"))
    (file_range,) = split_file(path, fmt, 1000, 2**20)
    read = read_range(path, fmt, manifest.signature, file_range)
    assert read.bad_rows == []
    return infer_held_frame(estimator, manifest.signature, Method.PREDICT_PROBA, read.frame)


def _pushed_with_file(service: LocalService, estimator: Any, example: bytes) -> Job:
    work = service.import_work(skops_bytes(estimator), example)
    return service.ran(JobType.IMPORT, ModelRef("model"), work)


@pytest.mark.parametrize("fmt", [FileFormat.CSV, FileFormat.PARQUET])
def test_a_file_with_an_index_gets_the_answers_of_the_notebook_and_trains_as_there(
    service: LocalService, tmp_path: Path, fmt: FileFormat
) -> None:
    estimator = DecisionTreeClassifier(random_state=0).fit(FRAME, TARGET)
    service.result(service.pushed(estimator, FRAME, ("size",)))
    path = tmp_path / "rows"
    table = FRAME.assign(size=TARGET)
    table.to_csv(path) if fmt is FileFormat.CSV else table.to_parquet(path)

    assert _file_answers(service, path, fmt, 1) == estimator.predict_proba(FRAME).tolist()

    kind = "text/csv" if fmt is FileFormat.CSV else "application/vnd.apache.parquet"
    stored = service.stored(path.read_bytes(), kind)
    service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("size",))))
    train = holdout(FRAME).train
    expected = clone(estimator).fit(FRAME.iloc[train], TARGET[train])
    assert _file_answers(service, path, fmt, 2) == expected.predict_proba(FRAME).tolist()


def test_the_rows_of_a_csv_file_with_an_index_are_the_models(service: LocalService) -> None:
    estimator = DecisionTreeClassifier(random_state=0).fit(FRAME, TARGET)
    service.result(service.pushed(estimator, FRAME))

    rows, notes = parsed_csv_rows(FRAME.to_csv(), service.manifest(1).signature.json_schema())

    assert service.answers(rows, Method.PREDICT) == TARGET.tolist()
    assert [list(row) for row in rows[:2]] == [["height", "width", "Unnamed: 0"], ["height", "width"]]
    assert notes == []  # the gateway ignores the column, and the job has the note


def test_an_example_with_an_index_serves_a_model_with_names_and_is_explained_to_one_without(
    service: LocalService,
) -> None:
    named = DecisionTreeClassifier(random_state=0).fit(FRAME, TARGET)
    nameless = DecisionTreeClassifier(random_state=0).fit(FRAME.to_numpy(), TARGET)
    example = FRAME.to_csv().encode()

    service.result(_pushed_with_file(service, named, example))
    assert service.answers(FRAME, Method.PREDICT) == TARGET.tolist()

    refused = _pushed_with_file(service, nameless, example)
    assert refused.failure is not None
    assert "the first column of the example has no name" in refused.failure.detail
    assert "to_csv(index=False)" in refused.failure.detail
