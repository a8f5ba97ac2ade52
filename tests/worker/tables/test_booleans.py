"""Booleans, 1 and 0 have one rule in all formats (docs/07-tables.md)."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.http.row_decoding import require_rows
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.models.frames import frame_of
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

DTYPES = ("bool", "boolean", "object", "category")
TRUE, FALSE = [True, 1, 1.0], [False, 0, 0.0]


def signature_of(column: Column) -> Signature:
    return Signature(Layout.FRAME, (column,), (Method.PREDICT,))


def boolean(dtype: str) -> Signature:
    categories = (False, True) if dtype == "category" else None
    return signature_of(Column("c", ColumnType.BOOLEAN, nullable=True, dtype=dtype, categories=categories))


def read(folder: Path, fmt: FileFormat, data: bytes, signature: Signature) -> Any:
    path = folder / "rows"
    path.write_bytes(data)
    (span,) = split_file(path, fmt, 1000, 2**20)
    return read_range(path, fmt, signature, span)


def csv_of(values: list[Any]) -> bytes:
    return ("c\n" + "".join(f'"{value}"\n' for value in values)).encode()


def parquet_of(array: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"c": array}), file)
    return file.getvalue()


def ndjson_of(values: list[Any]) -> bytes:
    return "".join(json.dumps({"c": value}) + "\n" for value in values).encode()


@pytest.mark.parametrize("dtype", DTYPES)
def test_true_and_false_and_1_and_0_are_the_same_in_every_format(tmp_path: Path, dtype: str) -> None:
    signature = boolean(dtype)
    values = [*TRUE, *FALSE]
    rows = json.dumps([{"c": value} for value in values]).encode()
    expected = frame_of(signature, [{"c": value} for value in [True] * 3 + [False] * 3])

    _, accepted, _ = require_rows(signature, rows, 10)
    frames = {
        "json": frame_of(signature, json.loads(accepted)),
        "ndjson": read(tmp_path, FileFormat.NDJSON, ndjson_of(values), signature).frame,
        "csv": read(tmp_path, FileFormat.CSV, csv_of(values), signature).frame,
        "client": frame_of(signature, parsed_csv_rows(csv_of(values).decode(), signature.json_schema())[0]),
        "integers": read(tmp_path, FileFormat.PARQUET, parquet_of(pa.array([1, 1, 1, 0, 0, 0])), signature).frame,
        "floats": read(tmp_path, FileFormat.PARQUET, parquet_of(pa.array([1.0] * 3 + [0.0] * 3)), signature).frame,
        "booleans": read(tmp_path, FileFormat.PARQUET, parquet_of(pa.array([True] * 3 + [False] * 3)), signature).frame,
    }

    for frame in frames.values():
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)
        assert [type(value) for value in frame["c"].tolist()] == [bool] * 6


@pytest.mark.parametrize("value", [2, -1, 0.5, "true", "1", []])
def test_other_values_are_no_booleans_in_typed_formats(tmp_path: Path, value: Any) -> None:
    signature = boolean("bool")

    with pytest.raises(InvalidInputError, match="expected one of true, false, 1, 0"):
        require_rows(signature, json.dumps([{"c": value}]).encode(), 10)
    bad = read(tmp_path, FileFormat.NDJSON, ndjson_of([True, value]), signature).bad_rows
    assert [(row.row, row.code) for row in bad] == [(2, "wrong_type")]


def test_another_number_is_a_bad_row_of_parquet_and_csv(tmp_path: Path) -> None:
    numbers = pa.array([1.0, 2.0, None, float("nan"), 0.0, 0.5])

    parquet = read(tmp_path, FileFormat.PARQUET, parquet_of(numbers), boolean("boolean"))
    csv = read(tmp_path, FileFormat.CSV, csv_of([1.0, 2.0, "", "nan", 0, 0.5]), boolean("boolean"))

    for found in (parquet, csv):
        assert [(row.row, row.code) for row in found.bad_rows] == [(2, "wrong_type"), (6, "wrong_type")]
        assert found.frame["c"].tolist() == [True, pd.NA, pd.NA, False]
    assert parquet.bad_rows[0].detail == "found 2.0, expected a boolean"


@pytest.mark.parametrize("kind", [ColumnType.NUMBER, ColumnType.INTEGER])
def test_true_is_no_number_in_any_format(tmp_path: Path, kind: ColumnType) -> None:
    dtype = "float64" if kind is ColumnType.NUMBER else "int64"
    signature = signature_of(Column("c", kind, nullable=False, dtype=dtype))

    with pytest.raises(InvalidInputError, match="found true"):
        require_rows(signature, b'[{"c": true}]', 10)
    for fmt, data in ((FileFormat.NDJSON, ndjson_of([True])), (FileFormat.CSV, csv_of(["True"]))):
        assert [row.code for row in read(tmp_path, fmt, data, signature).bad_rows] == ["wrong_type"]
    with pytest.raises(InvalidInputError, match="column 'c' of the file holds bool"):
        read(tmp_path, FileFormat.PARQUET, parquet_of(pa.array([True])), signature)


@pytest.mark.parametrize("dtype", ["bool", "object"])
def test_an_array_of_booleans_takes_1_and_0(dtype: str) -> None:
    columns = tuple(Column(name, ColumnType.BOOLEAN, nullable=True, dtype=dtype) for name in ("x0", "x1"))
    signature = Signature(Layout.ARRAY, columns, (Method.PREDICT,))

    array = frame_of(signature, [[1, False], [True, 0]])

    assert array.dtype == dtype
    assert array.tolist() == [[True, False], [True, False]]
    assert {type(value) for row in array.tolist() for value in row} == {bool}


def test_a_category_of_one_boolean_is_checked(tmp_path: Path) -> None:
    signature = signature_of(Column("c", ColumnType.BOOLEAN, False, "category", categories=(True,)))

    assert require_rows(signature, b'[{"c": 1}]', 10)[0] == 1
    with pytest.raises(InvalidInputError, match="expected one of true"):
        require_rows(signature, b'[{"c": 0}]', 10)
