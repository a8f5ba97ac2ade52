"""A file's rows reach the estimator as the frame that the same rows sent as JSON do, whatever its format and cuts."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuecast.domain.batch import FileFormat
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.cells import MISSING_WORDS
from worker.cutting import cuts
from worker.frames import frame_of
from worker.tables import Part, read_cut

CSV, NDJSON, PARQUET = FileFormat.CSV, FileFormat.NDJSON, FileFormat.PARQUET
NUMBER, INTEGER, STRING, BOOLEAN = ColumnType.NUMBER, ColumnType.INTEGER, ColumnType.STRING, ColumnType.BOOLEAN

WORDS = ("s", "m", "a, b", 'quo"te', "new\nline", "car\rriage", " x ", "007", "é", "'")
COLUMNS = (
    Column("float64", NUMBER, nullable=True, dtype="float64"),
    Column("float32", NUMBER, nullable=True, dtype="float32"),
    Column("float16", NUMBER, nullable=False, dtype="float16"),
    Column("Float64", NUMBER, nullable=True, dtype="Float64"),
    Column("int64", INTEGER, nullable=False, dtype="int64"),
    Column("int8", INTEGER, nullable=False, dtype="int8"),
    Column("uint64", INTEGER, nullable=False, dtype="uint64"),
    Column("Int64", INTEGER, nullable=True, dtype="Int64"),
    Column("UInt8", INTEGER, nullable=True, dtype="UInt8"),
    Column("bool", BOOLEAN, nullable=False, dtype="bool"),
    Column("boolean", BOOLEAN, nullable=True, dtype="boolean"),
    Column("truths", BOOLEAN, nullable=True, dtype="object"),
    Column("str", STRING, nullable=True, dtype="str"),
    Column("object", STRING, nullable=True, dtype="object"),
    Column("words", STRING, nullable=True, dtype="category", categories=WORDS),
    Column("numbers", INTEGER, nullable=True, dtype="category", categories=(3, 1, 2)),
    Column("yes", BOOLEAN, nullable=True, dtype="category", categories=(False, True)),
)
SIGNATURE = Signature(Layout.FRAME, COLUMNS, (Method.PREDICT,))

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5).filter(
    lambda word: word not in MISSING_WORDS
)
SIZES = {"int8": (-128, 127), "UInt8": (0, 255), "uint64": (0, INT64_MAX)}


def _values(column: Column) -> st.SearchStrategy[Any]:
    values: st.SearchStrategy[Any]
    if column.categories is not None:
        values = st.sampled_from(column.categories)
    elif column.type is BOOLEAN:
        values = st.booleans()
    elif column.type is STRING:
        values = words | st.sampled_from(WORDS)
    elif column.type is INTEGER:
        values = st.integers(*SIZES.get(column.dtype, (INT64_MIN, INT64_MAX)))
    elif column.dtype in ("float16", "float32"):
        values = st.floats(allow_nan=False, allow_infinity=False, width=int(column.dtype[-2:]))
    else:
        values = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-5, 5)
    return values | st.none() if column.nullable else values


tables = st.lists(st.fixed_dictionaries({column.name: _values(column) for column in COLUMNS}), min_size=1, max_size=12)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return "" if value is None else repr(value)


def _csv(rows: list[Any], newline: str = "\n") -> bytes:
    names = list(rows[0])  # hypothesis shuffles the keys
    lines = [",".join(names), *(",".join(_text(row[name]) for name in names) for row in rows)]
    return newline.join(lines).encode() + newline.encode()


def _ndjson(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _parquet(rows: list[Any], row_group_size: int | None = None, signature: Signature = SIGNATURE) -> bytes:
    kinds = {NUMBER: pa.float64(), INTEGER: pa.int64(), STRING: pa.string(), BOOLEAN: pa.bool_()}
    arrays = {
        column.name: pa.array(
            [
                float(row[column.name]) if column.type is NUMBER and row[column.name] is not None else row[column.name]
                for row in rows
            ],
            kinds[column.type],
        )
        for column in signature.columns
    }
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, row_group_size=row_group_size)
    return file.getvalue()


def _written(folder: Path, fmt: FileFormat, data: bytes) -> Path:
    path = folder / f"rows.{fmt}"
    path.write_bytes(data)
    return path


def _parts(
    path: Path, fmt: FileFormat, signature: Signature, max_rows: int, max_bytes: int, id_column: str | None = None
) -> list[Part]:
    return [read_cut(path, fmt, signature, cut, id_column) for cut in cuts(path, fmt, max_rows, max_bytes)]


def _assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    else:
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
        assert [getattr(dtype, "storage", "") for dtype in found.dtypes] == [
            getattr(dtype, "storage", "") for dtype in expected.dtypes
        ]


@given(tables, st.sampled_from([CSV, NDJSON, PARQUET]), st.integers(1, 13), st.integers(1, 2000))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_in_any_format_cut_anywhere_is_the_frame_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], fmt: FileFormat, max_rows: int, max_bytes: int
) -> None:
    data = {CSV: _csv, NDJSON: _ndjson, PARQUET: lambda rows: _parquet(rows, 5)}[fmt](rows)
    path = _written(tmp_path_factory.getbasetemp(), fmt, data)

    parts = _parts(path, fmt, SIGNATURE, max_rows, max_bytes)

    assert [bad for part in parts for bad in part.bad] == []
    assert [number for part in parts for number in part.row_numbers.tolist()] == list(range(1, len(rows) + 1))
    at = 0
    for part in parts:
        _assert_same(part.frame, frame_of(SIGNATURE, rows[at : at + part.n_rows]))
        at += part.n_rows
