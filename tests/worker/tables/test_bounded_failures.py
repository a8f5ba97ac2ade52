"""No error of a job grows with the width of its file or the length of its names."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.http.errors import MAX_PROBLEM_BYTES, failure_problem
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.errors import InvalidInputError, QueuecastError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from tests.queuecast.domain.records import a_manifest
from worker.labelled.training_files import TrainingFile
from worker.labelled.training_rows import read_training_rows
from worker.tables.file_columns import ignored_in_parquet, require_columns
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

WIDTH = 7000
LONG = "very long name " * 100
NAMES = {
    "short": [f"c{at}" for at in range(WIDTH)],
    "long": [f"{LONG[:400]}{at}{LONG[:90]}" for at in range(WIDTH)],
}
SOFT_BYTES = 16 * 1024
"""Of the error in the record of the job."""


@pytest.fixture(params=NAMES)
def names(request: pytest.FixtureRequest) -> list[str]:
    return NAMES[request.param]


class Refusals:
    def __init__(self, path: Path, names: list[str]) -> None:
        self._path = path
        self._names = names
        self._others = [f"{name[:300]}?{name[-200:]}" for name in names]
        columns = tuple(Column(name, ColumnType.NUMBER, nullable=False, dtype="float64") for name in names)
        self._signature = Signature(Layout.FRAME, columns, (Method.PREDICT,))

    def _write(self, fmt: FileFormat, columns: list[str]) -> None:
        if fmt is FileFormat.CSV:
            self._path.write_text(",".join(columns) + "\n" + ",".join(["x"] * len(columns)) + "\n")
        elif fmt is FileFormat.NDJSON:
            self._path.write_text(json.dumps(dict.fromkeys(columns, "x")) + "\n")
        else:
            file = io.BytesIO()
            pq.write_table(pa.table({name: [float("inf")] for name in columns}), file)
            self._path.write_bytes(file.getvalue())

    def missing_columns(self, fmt: FileFormat) -> None:
        self._write(fmt, self._others)
        require_columns(self._path, fmt, self._signature)

    def wrong_training_cells(self, fmt: FileFormat) -> None:
        self._write(fmt, [*self._names, "y"])
        champion = a_manifest(signature=self._signature, holdout=None)
        read_training_rows([TrainingFile(self._path, fmt)], champion, TrainingWork("f", "0", ("y",)))

    def wrong_batch_cells(self, fmt: FileFormat) -> None:
        self._write(fmt, self._names)
        (file_range,) = split_file(self._path, fmt, 1000, 2**26)
        (bad,) = read_range(self._path, fmt, self._signature, file_range).bad_rows
        assert len(json.dumps(bad.as_json())) <= MAX_PROBLEM_BYTES
        raise InvalidInputError("a bad row", bad.findings, total=bad.total)

    def other_columns(self, _fmt: FileFormat) -> None:
        self._write(FileFormat.PARQUET, [*self._names, *self._others])
        ignored_in_parquet(self._path, self._signature, ExtraColumns.REFUSE, ())


REFUSALS = [name for name in vars(Refusals) if not name.startswith("_")]


@pytest.mark.parametrize("fmt", FileFormat)
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_wide_file_is_refused_in_few_bytes_and_soon(
    tmp_path: Path, names: list[str], kind: str, fmt: FileFormat
) -> None:
    refuse: Callable[[FileFormat], Any] = getattr(Refusals(tmp_path / "rows", names), kind)
    began = time.process_time()

    with pytest.raises(QueuecastError) as caught:
        refuse(fmt)

    failure = caught.value.failure
    assert failure.findings
    assert len(msgspec.json.encode(failure)) <= SOFT_BYTES
    assert len(msgspec.json.encode(failure_problem(failure))) <= MAX_PROBLEM_BYTES
    assert time.process_time() - began < 10
