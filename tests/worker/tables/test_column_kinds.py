"""A column of any kind reaches the estimator with the dtype and the values of the notebook, from every format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import BaseEstimator

from queuecast.client.row_formats.json_rows import example_table, json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.holdout import holdout
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from tests.worker.column_kinds import KINDS, frame_of_kind
from worker.imports.example_rows import read_example
from worker.imports.example_tables import TABLE_MEDIA_TYPE
from worker.labelled.training_files import TrainingFile
from worker.labelled.training_rows import read_training_rows
from worker.models.frames import frame_of, rows_of
from worker.models.signatures import learn_signature
from worker.tables.reader import ReadRange, read_range
from worker.tables.splitting import split_file

CSV, NDJSON, PARQUET = FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET


class AlwaysOne(BaseEstimator):
    """Predicts 1 for every row."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.ones(len(X))


def _learned(frame: Any) -> Signature:
    return learn_signature(AlwaysOne(), frame)[0]


def _written(folder: Path, fmt: FileFormat, frame: pd.DataFrame) -> Path:
    path = folder / f"rows.{fmt}"
    if fmt is CSV:
        frame.to_csv(path, index=False)
    elif fmt is NDJSON:
        path.write_text("".join(json.dumps(row) + "\n" for row in json_rows(frame)))
    else:
        with open_table(frame) as table:
            path.write_bytes(table.content.read())
    return path


def _read(path: Path, fmt: FileFormat, signature: Signature) -> ReadRange:
    (span,) = split_file(path, fmt, 1000, 2**20)
    return read_range(path, fmt, signature, span)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_table_keeps_dtype_and_values(kind: str, tmp_path: Path) -> None:
    frame = frame_of_kind(kind)
    path = tmp_path / "example"
    path.write_text(json.dumps(example_table(frame), allow_nan=False))

    estimator = AlwaysOne()
    estimator.feature_names_in_ = np.array(["c"], dtype=object)
    example = read_example(path, TABLE_MEDIA_TYPE, estimator, ())

    pd.testing.assert_frame_equal(example.rows, frame, check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_json_rows_of_worker_and_client_agree_and_become_the_frame_again(kind: str) -> None:
    frame = frame_of_kind(kind)
    signature = _learned(frame)

    sent = json.loads(json.dumps(json_rows(frame), allow_nan=False))

    assert signature.findings(sent) == ()
    pd.testing.assert_frame_equal(frame_of(signature, sent), frame, check_exact=True)
    pd.testing.assert_frame_equal(frame_of(signature, rows_of(signature, frame)), frame, check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", FileFormat)
def test_a_file_becomes_the_frame_again(kind: str, fmt: FileFormat, tmp_path: Path) -> None:
    frame = frame_of_kind(kind)

    read = _read(_written(tmp_path, fmt, frame), fmt, _learned(frame))

    assert read.bad_rows == []
    pd.testing.assert_frame_equal(read.frame, frame, check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_reads_the_cells_of_a_csv_file_like_a_worker(kind: str) -> None:
    frame = frame_of_kind(kind)
    signature = _learned(frame)

    sent, _ = parsed_csv_rows(frame.to_csv(index=False), signature.json_schema())

    assert signature.findings(sent) == ()
    pd.testing.assert_frame_equal(frame_of(signature, sent), frame, check_exact=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fmt", FileFormat)
def test_a_training_file_has_the_frame_and_the_sides_of_the_notebook(
    kind: str, fmt: FileFormat, tmp_path: Path
) -> None:
    frame = frame_of_kind(kind)
    path = _written(tmp_path, fmt, frame.assign(y=range(len(frame))))
    champion = Manifest("model", 1, "0" * 64, 10, 1.0, "job_1", "push", "E()", {}, _learned(frame), ("y",))

    rows = read_training_rows([TrainingFile(path, fmt)], champion, TrainingWork("file_1", "0" * 64, ("y",)))

    pd.testing.assert_frame_equal(rows.features, frame, check_exact=True)
    assert holdout(rows.features, 0.5) == holdout(frame, 0.5)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("category of floats", 7.5, "7.5"),
        ("category of integers", 7, "7"),
        ("category of datetimes", pd.Timestamp("2030-01-01"), "2030-01-01"),
        ("category of zoned datetimes", pd.Timestamp("2030-01-01", tz="Europe/Berlin"), "2029-12-31 23:00:00+00:00"),
    ],
)
def test_a_training_takes_new_categories_of_every_kind(kind: str, value: Any, text: str, tmp_path: Path) -> None:
    known = frame_of_kind(kind)
    champion = Manifest("model", 1, "0" * 64, 10, 1.0, "job_1", "push", "E()", {}, _learned(known), ("y",))
    path = tmp_path / "rows.csv"
    path.write_text(f"c,y\n{text},1\n,2\n")

    rows = read_training_rows([TrainingFile(path)], champion, TrainingWork("file_1", "0" * 64, ("y",)))

    learned = known["c"].cat.categories
    categories = pd.Index([*learned, value]).astype(learned.dtype)
    expected = pd.Series(pd.Categorical([value, None], categories=categories))
    pd.testing.assert_series_equal(rows.features["c"], expected, check_names=False)


@pytest.mark.parametrize(
    "array",
    [
        np.array([["2026-01-31T12:30:00.000000001", "NaT"]], dtype="datetime64[ns]"),
        np.array([["2026-01-31", "NaT"]], dtype="datetime64[D]"),
        np.array([[5, 7]], dtype="timedelta64[h]"),
        np.array([[5, 7]], dtype="timedelta64[ns]"),
    ],
    ids=lambda array: array.dtype.name,
)
@pytest.mark.parametrize("fmt", FileFormat)
def test_an_array_of_times_becomes_the_array_again(array: Any, fmt: FileFormat, tmp_path: Path) -> None:
    signature = _learned(array)
    frame = pd.DataFrame({f"x{at}": pd.Series(array[:, at]) for at in range(array.shape[1])})

    sent = json.loads(json.dumps(json_rows(array), allow_nan=False))
    found = [frame_of(signature, sent), _read(_written(tmp_path, fmt, frame), fmt, signature).frame]

    for each in found:
        assert each.dtype == array.dtype
        np.testing.assert_array_equal(each, array)


SINGLE = "a number between -3.4028236e+38 and 3.4028236e+38"
AWARE = Column("c", ColumnType.DATETIME, nullable=False, dtype="datetime64[us, UTC]")
NAIVE = Column("c", ColumnType.DATETIME, nullable=False, dtype="datetime64[us]")


def _bad(column: Column, *cells: str, folder: Path) -> list[tuple[int, str, str]]:
    """The bad rows of a CSV file and of an NDJSON file with these cells, which must be the same."""
    signature = Signature(Layout.FRAME, (column,), (Method.PREDICT,))
    found = []
    for fmt, lines in ((CSV, ["c", *cells]), (NDJSON, [json.dumps({"c": cell}) for cell in cells])):
        path = folder / f"rows.{fmt}"
        path.write_text("".join(line + "\n" for line in lines))
        found.append([(bad.row, bad.code, bad.expected or "") for bad in _read(path, fmt, signature).bad_rows])
    assert found[0] == found[1]
    assert [row for row, _, _ in found[0]] == [
        at for at, cell in enumerate(cells, start=1) if signature.findings([{"c": cell}])
    ]
    return found[0]


def test_another_offset_is_the_same_instant_and_no_offset_is_a_bad_row(tmp_path: Path) -> None:
    bad = _bad(AWARE, "2026-01-31T12:00:00Z", "2026-01-31 14:00:00+02:00", "2026-01-31T12:00:00", folder=tmp_path)

    assert bad == [
        (3, "wrong_type", 'a date and time with an offset, such as "2026-01-31T12:30:00Z", in whole microseconds')
    ]
    frame = frame_of(
        Signature(Layout.FRAME, (AWARE,), (Method.PREDICT,)),
        [{"c": "2026-01-31T12:00:00Z"}, {"c": "2026-01-31 14:00:00+02:00"}],
    )
    assert frame["c"].nunique() == 1


def test_a_time_that_is_finer_than_the_column_is_a_bad_row(tmp_path: Path) -> None:
    cells = ["2026-01-31T12:00:00.000001", "2026-01-31T12:00:00.0000010", "2026-01-31T12:00:00.000000001"]

    assert [row for row, _, _ in _bad(NAIVE, *cells, folder=tmp_path)] == [3]


@pytest.mark.parametrize(
    ("cells", "bad_rows"),
    [
        (pa.array([1, 1000], pa.timestamp("ns")), [1]),
        (pa.array([1, 2], pa.timestamp("s")), []),
        (pa.array([1, 10**12], pa.timestamp("s")), [2]),
        (pa.array([1, 2], pa.date32()), []),
    ],
)
def test_a_parquet_time_that_the_column_cannot_hold_is_a_bad_row(
    cells: Any, bad_rows: list[int], tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    pq.write_table(pa.table({"c": cells}), path)

    read = _read(path, PARQUET, Signature(Layout.FRAME, (NAIVE,), (Method.PREDICT,)))

    assert [bad.row for bad in read.bad_rows] == bad_rows


@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        (AWARE, pa.array([1], pa.timestamp("us")), "expected datetime with a time zone"),
        (NAIVE, pa.array([1], pa.timestamp("us", "UTC")), "expected datetime without a time zone"),
        (NAIVE, pa.array(["2026-01-31T12:00:00"]), "holds string, expected datetime"),
        (Column("c", ColumnType.DURATION, False, "timedelta64[ns]"), pa.array([1]), "holds int64, expected duration"),
    ],
)
def test_a_parquet_column_of_another_kind_is_refused(column: Column, cells: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rows"
    pq.write_table(pa.table({"c": cells}), path)

    with pytest.raises(InvalidInputError, match=words):
        _read(path, PARQUET, Signature(Layout.FRAME, (column,), (Method.PREDICT,)))


@pytest.mark.parametrize(
    ("column", "good", "bad", "expected"),
    [
        (Column("c", ColumnType.INTEGER, False, "uint8"), "255", "300", "a whole number from 0 to 255"),
        (Column("c", ColumnType.INTEGER, False, "int8[pyarrow]"), "-128", "-129", "a whole number from -128 to 127"),
        (Column("c", ColumnType.INTEGER, False, "Sparse[int8, 0]"), "1", "128", "a whole number from -128 to 127"),
        (
            Column("c", ColumnType.NUMBER, False, "float32"),
            "3.4028235e38",
            "3.5e38",
            SINGLE,
        ),
        (Column("c", ColumnType.NUMBER, False, "float16"), "65519", "65520", "a number between -65520 and 65520"),
        (
            Column("c", ColumnType.NUMBER, False, "float[pyarrow]"),
            "1",
            "-1e39",
            SINGLE,
        ),
    ],
)
def test_a_number_beyond_the_dtype_is_a_bad_row_like_in_a_prediction(
    column: Column, good: str, bad: str, expected: str, tmp_path: Path
) -> None:
    signature = Signature(Layout.FRAME, (column,), (Method.PREDICT,))
    found = []
    for fmt, text in ((CSV, f"c\n{good}\n{bad}\n"), (NDJSON, f'{{"c": {good}}}\n{{"c": {bad}}}\n')):
        path = tmp_path / f"rows.{fmt}"
        path.write_text(text)
        found += [(each.row, each.code, each.expected) for each in _read(path, fmt, signature).bad_rows]

    assert found == [(2, "wrong_type", expected)] * 2
    (finding,) = signature.findings([{"c": json.loads(good)}, {"c": json.loads(bad)}])
    assert (finding.pointer, finding.code, finding.expected) == ("/inputs/1/c", "wrong_type", expected)
