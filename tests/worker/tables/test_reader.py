"""Rows of a file reach the estimator as the same frame as rows sent as JSON, in any format and however it is split."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from queuecast.tables.cells import MISSING_WORDS
from worker.batches.part_files import join_parts, write_part
from worker.models.frames import frame_of
from worker.tables import parquet_reader
from worker.tables.parquet_files import open_parquet
from worker.tables.reader import ReadRange, read_range, read_rows
from worker.tables.rows import BadRow
from worker.tables.splitting import FileRange, split_file

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
    Column("holed", INTEGER, nullable=True, dtype="int64"),
    Column("uint8", INTEGER, nullable=True, dtype="uint8"),
    Column("maybe", BOOLEAN, nullable=True, dtype="bool"),
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
SIZES = {"int8": (-128, 127), "uint8": (0, 255), "UInt8": (0, 255), "uint64": (0, INT64_MAX)}


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
) -> list[ReadRange]:
    return [read_range(path, fmt, signature, span, id_column) for span in split_file(path, fmt, max_rows, max_bytes)]


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
def test_a_table_in_any_format_and_any_ranges_becomes_the_frame_of_its_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], fmt: FileFormat, max_rows: int, max_bytes: int
) -> None:
    data = {CSV: _csv, NDJSON: _ndjson, PARQUET: lambda rows: _parquet(rows, 5)}[fmt](rows)
    path = _written(tmp_path_factory.getbasetemp(), fmt, data)

    parts = _parts(path, fmt, SIGNATURE, max_rows, max_bytes)

    assert [bad for part in parts for bad in part.bad_rows] == []
    assert [number for part in parts for number in part.row_numbers.tolist()] == list(range(1, len(rows) + 1))
    at = 0
    for part in parts:
        _assert_same(part.frame, frame_of(SIGNATURE, rows[at : at + part.n_rows]))
        at += part.n_rows


def test_a_str_column_holds_python_strings_so_that_scikit_learn_need_not_convert_it() -> None:
    signature = Signature(Layout.FRAME, (Column("w", STRING, nullable=True, dtype="str"),), (Method.PREDICT,))

    dtype = frame_of(signature, [{"w": "a"}, {"w": None}])["w"].dtype

    assert (dtype, dtype.storage) == ("str", "python")  # `_assert_same` expects the same of a file


soup = st.text(st.sampled_from('a7,"\n\r '), max_size=80)


@given(soup, st.integers(1, 9), st.integers(1, 40))
@settings(max_examples=500, deadline=None)
def test_splitting_and_reading_count_the_same_rows_in_any_text(
    tmp_path_factory: pytest.TempPathFactory, text: str, max_rows: int, max_bytes: int
) -> None:
    signature = Signature(Layout.FRAME, (Column("a", STRING, nullable=True, dtype="str"),), (Method.PREDICT,))
    path = _written(tmp_path_factory.getbasetemp(), CSV, b"a,b\n" + text.encode())
    try:
        ranges = list(split_file(path, CSV, max_rows, max_bytes))
    except InvalidInputError:
        return  # no rows, or a quote that is never closed

    parts = [read_range(path, CSV, signature, span) for span in ranges]  # raises if the counts differ

    numbers = [n for part in parts for n in [*part.row_numbers.tolist(), *(bad.row for bad in part.bad_rows)]]
    whole = read_range(path, CSV, signature, FileRange(0, 1, len(numbers), ranges[0].start, ranges[-1].end))
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [bad for part in parts for bad in part.bad_rows] == whole.bad_rows
    assert [cell for part in parts for cell in part.frame["a"].fillna("-")] == whole.frame["a"].fillna("-").tolist()


# Bad rows

MIXED = Signature(
    Layout.FRAME,
    (
        Column("age", NUMBER, nullable=True, dtype="float32"),
        Column("sibsp", INTEGER, nullable=False, dtype="int8"),
        Column("alone", BOOLEAN, nullable=False, dtype="bool"),
        Column("deck", STRING, nullable=True, dtype="category", categories=("A", "B")),
    ),
    (Method.PREDICT,),
)


def _read(
    folder: Path, fmt: FileFormat, data: bytes, signature: Signature = MIXED, id_column: str | None = None
) -> ReadRange:
    (part,) = _parts(_written(folder, fmt, data), fmt, signature, 1000, 10**6, id_column)
    return part


def _bad(row: int, column: str | None, code: str, found: str, expected: str) -> BadRow:
    return BadRow(row, column, code, f"found {found}, expected {expected}", found, expected)


def test_a_bad_csv_row_is_reported_with_its_number_column_code_and_detail(tmp_path: Path) -> None:
    part = _read(
        tmp_path,
        CSV,
        b"age,sibsp,alone,deck\n1,1,true,A\nold,1,true,A\n1,,true,A\n\n1,128,true,A\n1,1,maybe,A\n1,1,0,C\n1,1\n1e39,1,1,A\n"
        b"1,1,1,A,9\nNA,2.0,FALSE,\n",
    )

    assert part.bad_rows == [
        _bad(2, "age", "wrong_type", "'old'", "a number"),
        BadRow(
            *(3, "sibsp", "null", "is empty, expected an integer in every row"),
            *("an empty cell", "an integer in every row"),
        ),
        _bad(4, "sibsp", "wrong_type", "'128'", "a whole number from -128 to 127"),
        _bad(5, "alone", "wrong_type", "'maybe'", "a boolean"),
        _bad(6, "deck", "unknown_category", "'C'", 'one of string "A", string "B" or null'),
        _bad(7, None, "wrong_length", "2 cells", "4"),
        _bad(8, "age", "wrong_type", "'1e39'", "a number between -3.4028236e+38 and 3.4028236e+38"),
        _bad(9, None, "wrong_length", "5 cells", "4"),
    ]
    assert part.row_numbers.tolist() == [1, 10]
    assert part.n_rows == 10
    _assert_same(
        part.frame,
        frame_of(
            MIXED,
            [
                {"age": 1, "sibsp": 1, "alone": True, "deck": "A"},
                {"age": None, "sibsp": 2, "alone": False, "deck": None},
            ],
        ),
    )


@pytest.mark.parametrize("layout", [Layout.FRAME, Layout.ARRAY])
def test_an_integer_in_ndjson_may_have_a_decimal_point(tmp_path: Path, layout: Layout) -> None:
    signature = Signature(layout, tuple(Column(name, INTEGER, False, "int64") for name in "ab"), (Method.PREDICT,))
    big = 2**53 + 1
    rows: list[Any] = [[1, 2.0], [3.0, big], [4.5, 1], [5.0, float(big + 1)], [6, -0.0]]
    if layout is Layout.FRAME:
        rows = [dict(zip("ba", row, strict=True)) | {"extra": 1.0} for row in rows]
    data = _ndjson(rows) + _ndjson(rows[1:2]).replace(b"3.0", b'"x", "b": 3.0').replace(b"1.0", b"NaN")

    part = _read(tmp_path, NDJSON, data, signature)

    found = np.asarray(part.frame[["b", "a"]] if layout is Layout.FRAME else part.frame)
    assert found.tolist() == [[1, 2], [3, big], [6, 0]]
    assert [bad.row for bad in part.bad_rows] == [3, 4, 6]


def test_a_bad_ndjson_row_is_explained_like_a_bad_row_of_a_prediction(tmp_path: Path) -> None:
    good = {"age": 1, "sibsp": 1, "alone": True, "deck": "A", "extra": [1]}
    lines = [
        good,
        good | {"age": "1"},
        good | {"sibsp": 1.5},
        good | {"sibsp": None},
        good | {"deck": "C"},
        {"age": 1},
        [1, 2],
        good | {"sibsp": 300},
        good | {"age": None},
    ]
    data = _ndjson(lines) + b'{"age": \nnope\n{"age": 1e400, "sibsp": 1, "alone": true, "deck": null}'

    part = _read(tmp_path, NDJSON, data)

    assert [(bad.row, bad.column, bad.code) for bad in part.bad_rows] == [
        (2, "age", "wrong_type"),
        (3, "sibsp", "wrong_type"),
        (4, "sibsp", "null"),
        (5, "deck", "unknown_category"),
        (6, "sibsp", "missing_column"),
        (7, None, "wrong_type"),
        (8, "sibsp", "wrong_type"),
        (10, None, "malformed"),
        (11, None, "malformed"),
        (12, "age", "wrong_type"),
    ]
    assert part.bad_rows[0].detail == 'found string "1", expected a finite number or null'
    assert part.row_numbers.tolist() == [1, 9]


def test_a_parquet_value_that_its_column_cannot_hold_makes_a_bad_row(tmp_path: Path) -> None:
    file = io.BytesIO()
    table = {
        "age": pa.array([1.0, float("inf"), float("nan"), 1e300]),
        "sibsp": pa.array([1.0, 2.0, 3.0, 4.0]),
        "alone": pa.array([True, True, True, True]),
        "deck": pa.array(["A", "B", "C", None]).dictionary_encode(),
    }
    pq.write_table(pa.table(table), file)

    part = _read(tmp_path, PARQUET, file.getvalue())

    assert [(bad.row, bad.column, bad.code, bad.detail[:11]) for bad in part.bad_rows] == [
        (2, "age", "wrong_type", "found inf, "),
        (3, "deck", "unknown_category", "found 'C', "),
        (4, "age", "wrong_type", "found 1e+30"),
    ]
    assert part.frame.to_numpy().tolist() == [[1.0, 1, True, "A"]]


@pytest.mark.parametrize("value", ["0x1F", "1.5", "99999999999999999999", "1_000"])
def test_a_cell_that_python_does_not_read_as_an_integer_makes_a_bad_row(tmp_path: Path, value: str) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))

    assert [bad.code for bad in _read(tmp_path, CSV, f"n\n1\n{value}\n".encode(), signature).bad_rows] == ["wrong_type"]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("9007199254740993.0", 2**53 + 1),
        ("-9007199254740993.000", -(2**53) - 1),
        (" 9007199254740993 ", 2**53 + 1),
        ("9007199254740994e0", 2**53 + 2),
        ("9223372036854775807.0", INT64_MAX),
        ("9223372036854775808.0", None),
        ("9007199254740993.5", None),
        ("9e99999999", None),
    ],
)
def test_an_integer_with_a_decimal_point_is_exact_beyond_the_precision_of_a_float(
    tmp_path: Path, cell: str, value: int | None
) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))

    part = _read(tmp_path, CSV, f"n\n{cell}\n1\n".encode(), signature)

    assert part.frame["n"].tolist() == ([1] if value is None else [value, 1])


@pytest.mark.parametrize(
    "kind", [pa.decimal128(20, 0), pa.decimal128(38, 3), pa.decimal256(76, 2)], ids=["whole", "with_a_point", "large"]
)
def test_parquet_decimals_are_exact_beyond_the_precision_of_a_float(tmp_path: Path, kind: Any) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    numbers = [2**53 + 1, -(2**53) - 1, INT64_MIN, INT64_MAX, INT64_MAX + 1, INT64_MIN - 1]
    file = io.BytesIO()
    pq.write_table(pa.table({"n": pa.array(list(map(Decimal, numbers)), kind)}), file)

    part = _read(tmp_path, PARQUET, file.getvalue(), signature)

    assert part.frame["n"].tolist() == numbers[:4]
    assert [bad.row for bad in part.bad_rows] == [5, 6]


def test_a_decimal_with_a_fraction_is_not_an_integer(tmp_path: Path) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    file = io.BytesIO()
    pq.write_table(pa.table({"n": pa.array([Decimal("1.00"), Decimal("-1.50"), Decimal("2.00")])}), file)

    part = _read(tmp_path, PARQUET, file.getvalue(), signature)

    assert (part.frame["n"].tolist(), [bad.detail for bad in part.bad_rows]) == (
        [1, 2],
        ["found Decimal('-1.50'), expected an integer"],
    )


@pytest.mark.parametrize("word", MISSING_WORDS)
@pytest.mark.parametrize("column", [COLUMNS[at] for at in (0, 7, 9, 10, 13, 15)], ids=lambda column: column.name)
def test_the_same_words_mean_missing_as_in_pandas(tmp_path: Path, column: Column, word: str) -> None:
    signature = Signature(Layout.FRAME, (Column("c", column.type, True, column.dtype), COLUMNS[4]), (Method.PREDICT,))
    data = f"c,int64\n{word},1\n".encode()

    assert _read(tmp_path, CSV, data, signature).frame["c"].isna().tolist() == [True]
    assert pd.read_csv(io.BytesIO(data))["c"].isna().tolist() == [True]


def test_a_file_of_bad_rows_only_makes_an_empty_frame(tmp_path: Path) -> None:
    part = _read(tmp_path, CSV, b"age,sibsp,alone,deck\nx,1,1,A\n1\n")

    assert len(part.bad_rows) == 2
    _assert_same(part.frame, frame_of(MIXED, [{"age": 1, "sibsp": 1, "alone": True, "deck": "A"}])[:0])


def test_a_range_of_another_file_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path, CSV, b"age,sibsp,alone,deck\n1,1,1,A\n1,1,1,A\n")

    with pytest.raises(InvalidInputError, match="hold 1 rows, expected 2"):
        read_range(path, CSV, MIXED, FileRange(0, 1, 2, 21, 29))


BYTES = pa.array([b"A", b"B", b"caf\xe9", None], pa.binary())
NOT_UTF8 = {
    "string": BYTES.view(pa.string()),
    "large_string": pc.cast(BYTES, pa.large_binary()).view(pa.large_string()),
    "string_view": pc.cast(BYTES, pa.binary_view()).view(pa.string_view()),
}


@pytest.mark.parametrize("words", NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_parquet_string_that_is_not_utf8_makes_only_its_row_bad(tmp_path: Path, words: Any) -> None:
    columns = (Column("deck", STRING, nullable=True, dtype="str"), Column("n", INTEGER, nullable=False, dtype="int64"))
    signature = Signature(Layout.FRAME, columns, (Method.PREDICT,))
    file = io.BytesIO()
    pq.write_table(pa.table({"deck": words, "n": range(4)}), file)

    part = _read(tmp_path, PARQUET, file.getvalue(), signature, "n")

    assert part.bad_rows == [_bad(3, "deck", "wrong_type", "b'caf\\xe9'", "a string")]
    assert (part.frame["deck"].fillna("-").tolist(), part.ids.to_pylist()) == (["A", "B", "-"], [0, 1, 3])


@pytest.mark.parametrize("words", NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_parquet_id_that_is_not_utf8_makes_only_its_row_bad(tmp_path: Path, words: Any) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"id": words, "n": [0, 1, 2, None]}), file)
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))

    part = _read(tmp_path, PARQUET, file.getvalue(), signature, "id")

    assert [(bad.row, bad.column, bad.code) for bad in part.bad_rows] == [(3, "id", "wrong_type"), (4, "n", "null")]
    assert part.bad_rows[0].detail == "found b'caf\\xe9', expected text in UTF-8"
    assert (part.frame["n"].tolist(), part.ids.to_pylist(), part.n_rows) == ([0, 1], ["A", "B"], 4)


def test_a_parquet_dictionary_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, None]), BYTES[:3].view(pa.string()))
    file = io.BytesIO()
    pq.write_table(pa.table({"deck": words}), file)
    signature = Signature(Layout.FRAME, (Column("deck", STRING, nullable=True, dtype="str"),), (Method.PREDICT,))

    with pytest.raises(InvalidInputError, match="the file cannot be read as Parquet: Invalid UTF8 payload"):
        _read(tmp_path, PARQUET, file.getvalue(), signature)


# Ids


@pytest.mark.parametrize(
    ("fmt", "data", "ids"),
    [
        (CSV, b"id,x0\n007,1\nNA,2\n,3\n4,bad\n5,5\n", ["007", "NA", None, "5"]),
        (NDJSON, b'{"id": 7, "x0": 1}\n{"id": 8, "x0": "bad"}\n{"x0": 2}\n', [7, None]),
        (NDJSON, b'{"x0": 1}\n{"id": "b", "x0": 2}\n', [None, "b"]),
    ],
)
def test_only_good_rows_have_ids(tmp_path: Path, fmt: FileFormat, data: bytes, ids: list[Any]) -> None:
    signature = Signature(Layout.FRAME, (Column("x0", NUMBER, nullable=False, dtype="float64"),), (Method.PREDICT,))

    assert _read(tmp_path, fmt, data, signature, "id").ids.to_pylist() == ids


JSON_IDS = ("1.50", "2.25", "true", str(2**63), '"a"', "7", None, "[1, {}]", '"\\u00e9"', "8", "9", '"b"')


@pytest.mark.parametrize("max_rows", [1, 2, 5, 100])
@pytest.mark.parametrize("name", ["id", 'a "b"', "tab\t"])
def test_ids_of_mixed_types_keep_their_json_wherever_the_file_is_split(
    tmp_path: Path, max_rows: int, name: str
) -> None:
    lines = [f'{{"x0": 1, {json.dumps(name)}: {value}}}' if value else '{"x0": 1}' for value in JSON_IDS]
    path = _written(tmp_path, NDJSON, "\n".join(lines).encode())
    signature = Signature(Layout.FRAME, (Column("x0", NUMBER, nullable=False, dtype="float64"),), (Method.PREDICT,))

    written: dict[OutputFormat, bytes] = {}
    for wanted in OutputFormat:
        parts = _parts(path, NDJSON, signature, max_rows, 10**6, name)
        for index, part in enumerate(parts):
            write_part(tmp_path / str(index), wanted, part, {"prediction": np.ones(part.n_rows)}, name)
        join_parts([tmp_path / str(index) for index in range(len(parts))], tmp_path / "joined", wanted)
        written[wanted] = (tmp_path / "joined").read_bytes()

    texts = [value if value is None or value[0] != '"' else json.loads(value) for value in JSON_IDS]
    values = [json.loads(value or "null") for value in JSON_IDS]
    assert [json.loads(line)[name] for line in written[OutputFormat.NDJSON].splitlines()] == values
    assert [row[name] for row in json.loads(written[OutputFormat.JSON])] == values
    assert [row[name] for row in csv.DictReader(io.StringIO(written[OutputFormat.CSV].decode()))] == [
        text or "" for text in texts
    ]
    assert pq.read_table(io.BytesIO(written[OutputFormat.PARQUET]))[name].to_pylist() == texts


@pytest.mark.parametrize(
    ("data", "ids"),
    [
        (b'{"n": 1, "w": "a"}\n{"n": 2, "w": "b"}\n', [1, 2]),
        (b'{"n": 1, "w": "a"}\n{"w": "b"}\n{"n": 2.5, "w": "b"}\n{"n": null, "w": "b"}\n', ["1", "2.5", None]),
        (b'{"n": null, "w": "b"}\n', [None]),
    ],
    ids=["whole", "mixed", "null"],
)
def test_an_id_that_is_also_a_feature_keeps_its_json(tmp_path: Path, data: bytes, ids: list[Any]) -> None:
    columns = (Column("n", NUMBER, nullable=True, dtype="float64"), Column("w", STRING, nullable=False, dtype="str"))
    signature = Signature(Layout.FRAME, columns, (Method.PREDICT,))

    part = _read(tmp_path, NDJSON, data, signature, "n")

    assert part.ids.to_pylist() == ids
    np.testing.assert_array_equal(part.frame["n"], [np.nan if value is None else float(value) for value in ids])


# Lines


@pytest.mark.parametrize(
    ("lines", "good", "bad"),
    [
        (["{a}", "{b}{c}", "   ", "{d}"], [1, 4], [2, 3]),
        (["{a}{b}", "   "], [], [1, 2]),
        (["{a}", '{"x":', "1}", "{b}{c}{d}"], [1], [2, 3, 4]),
        (["{a}", '{"x": 1, "z": [{}', "{}]}", "{b}{c}"], [1], [2, 3, 4]),
        (["{a}", " {b}", "{c} ", "", "{d}\r"], [1, 2, 3, 4], []),
        (["{a}", "{b}", "\r"], [1, 2], []),
        (["{a}\r", "\r", "{b}\r", "{c}\r"], [1, 2, 3], []),
    ],
)
def test_each_line_of_ndjson_is_one_row(tmp_path: Path, lines: list[str], good: list[int], bad: list[int]) -> None:
    signature = Signature(Layout.FRAME, (Column("x", NUMBER, nullable=False, dtype="float64"),), (Method.PREDICT,))
    data = "\n".join(lines)
    for index, letter in enumerate("abcd"):
        data = data.replace(f"{{{letter}}}", f'{{"x": {index}}}')

    part = _read(tmp_path, NDJSON, data.encode(), signature)

    assert part.row_numbers.tolist() == good
    assert [row.row for row in part.bad_rows] == bad
    assert len(part.frame) == len(good)


def test_a_wide_row_of_ndjson_may_have_its_keys_in_any_order(tmp_path: Path) -> None:
    names = [f"c{at}" for at in range(300)]
    signature = Signature(
        Layout.FRAME, tuple(Column(name, NUMBER, False, "float64") for name in names), (Method.PREDICT,)
    )
    row = {name: at / 2 for at, name in enumerate(names)}
    rows = [{"id": 1} | {name: row[name] for name in order} for order in (sorted(names), names, names[::-1])]

    part = _read(tmp_path, NDJSON, _ndjson(rows), signature, "id")

    assert (part.bad_rows, part.ids.to_pylist()) == ([], [1, 1, 1])
    _assert_same(part.frame, frame_of(signature, [row] * 3))


@pytest.mark.parametrize("line", ["[1, 2][3, 4]", "[1,", "   "])
def test_a_line_that_is_not_exactly_one_list_is_a_bad_row(tmp_path: Path, line: str) -> None:
    data = f"[1, 2]\n{line}\n[5, 6]\n".encode()

    part = _read(tmp_path, NDJSON, data, _array("float64"))

    assert ([bad.row for bad in part.bad_rows], part.row_numbers.tolist()) == ([2], [1, 3])


def test_columns_whose_names_json_must_escape_are_read(tmp_path: Path) -> None:
    names = ['size "in"', "back\\slash", "tab\t"]
    columns = tuple(Column(name, NUMBER, nullable=index == 2, dtype="float64") for index, name in enumerate(names))
    signature = Signature(Layout.FRAME, columns, (Method.PREDICT,))
    good = dict(zip(names, (1, 2.5, None), strict=True)) | {"id": "a"}
    lines = [good, good | {names[0]: "1"}, {names[0]: 1}, [1, 2, 3], good | {"more": 1}]

    part = _read(tmp_path, NDJSON, _ndjson(lines) + b"{", signature, "id")

    assert [(bad.row, bad.column, bad.code) for bad in part.bad_rows] == [
        (2, names[0], "wrong_type"),
        (3, names[1], "missing_column"),
        (4, None, "wrong_type"),
        (6, None, "malformed"),
    ]
    assert part.ids.to_pylist() == ["a", "a"]
    _assert_same(part.frame, frame_of(signature, [lines[0], lines[0]]))


# Models fitted without column names


def _array(dtype: str, kind: ColumnType = NUMBER) -> Signature:
    columns = tuple(Column(f"x{index}", kind, nullable=dtype == "float64", dtype=dtype) for index in range(2))
    return Signature(Layout.ARRAY, columns, (Method.PREDICT,))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "str", "object"])
@pytest.mark.parametrize(
    ("fmt", "data"),
    [
        (CSV, "x1,x0\n2,1\n4,3\n"),
        (CSV, "height,width\n1,2\n3,4\n"),
        (NDJSON, "[1, 2]\n[3, 4]\n"),
        (NDJSON, '{"x1": 2, "x0": 1}\n{"x0": 3, "x1": 4}\n'),
        (NDJSON, '{"height": 1, "width": 2}\n{"width": 4, "height": 3}\n'),
    ],
    ids=["csv_names", "csv_in_order", "lists", "names", "names_in_order"],
)
def test_an_array_is_read_by_name_or_in_order(tmp_path: Path, fmt: FileFormat, data: str, dtype: str) -> None:
    signature = _array(dtype, {"int64": INTEGER, "str": STRING, "object": STRING}.get(dtype, NUMBER))
    is_word = dtype in ("str", "object")
    if is_word and fmt is NDJSON:
        for digit in "1234":
            data = data.replace(f" {digit}", f' "{digit}"').replace(f"[{digit}", f'["{digit}"')
    rows = [["1", "2"], ["3", "4"]] if is_word else [[1, 2], [3, 4]]

    part = _read(tmp_path, fmt, data.encode(), signature)

    assert part.bad_rows == []
    _assert_same(part.frame, frame_of(signature, rows))


def test_a_list_of_the_wrong_length_is_a_bad_row(tmp_path: Path) -> None:
    part = _read(tmp_path, NDJSON, b"[1, 2]\n[1]\n[1, 2, 3]\n[null, 4]\n", _array("float64"))

    assert [(bad.row, bad.code) for bad in part.bad_rows] == [(2, "wrong_length"), (3, "wrong_length")]
    np.testing.assert_array_equal(part.frame, [[1, 2], [np.nan, 4]])


# A file that stays open between its ranges


@pytest.mark.parametrize(("group_rows", "max_rows"), [(30, 7), (7, 30), (1, 100), (30, 30)])
def test_ranges_of_a_parquet_file_may_be_read_in_any_order(tmp_path: Path, group_rows: int, max_rows: int) -> None:
    rows = [{"n": n} for n in range(100)]
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    path = _written(tmp_path, PARQUET, _parquet(rows, group_rows, signature))
    ranges = list(split_file(path, PARQUET, max_rows, 10**6))

    read = {
        span.index: read_range(path, PARQUET, signature, span).frame["n"].tolist()
        for span in ranges[::2] + ranges[::-1]
    }

    assert [n for span in ranges for n in read[span.index]] == list(range(100))


def test_a_replaced_parquet_file_is_opened_again(tmp_path: Path) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    path = _written(tmp_path, PARQUET, _parquet([{"n": n} for n in range(10)], None, signature))
    first, second = split_file(path, PARQUET, 5, 10**6)
    read_rows(path, PARQUET, signature, first)
    path.unlink()
    _written(tmp_path, PARQUET, _parquet([{"n": -n} for n in range(10)], None, signature))

    assert read_range(path, PARQUET, signature, second).frame["n"].tolist() == [-5, -6, -7, -8, -9]


def test_a_file_of_many_row_groups_is_opened_once_for_its_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    path = _written(tmp_path, PARQUET, _parquet([{"n": n} for n in range(50)], 1, signature))
    ranges = list(split_file(path, PARQUET, 7, 10**6))
    opens: list[Path] = []

    def count_opens(path: Path) -> Any:
        opens.append(path)
        return open_parquet(path)

    monkeypatch.setattr(parquet_reader, "open_parquet", count_opens)

    for span in ranges:
        read_range(path, PARQUET, signature, span)

    assert opens == [path]


@pytest.mark.parametrize("stores_schema", [True, False], ids=["as_a_dictionary", "as_strings"])
def test_a_long_string_that_a_small_file_repeats_does_not_fill_the_memory(tmp_path: Path, stores_schema: bool) -> None:
    signature = Signature(Layout.FRAME, (Column("n", INTEGER, nullable=False, dtype="int64"),), (Method.PREDICT,))
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2**16, "int32")), pa.array(["q" * 10_000]))
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"n": range(2**16), "id": words}), path, store_schema=stores_schema)
    (span,) = split_file(path, PARQUET, 2**16, 2**23)
    before = pa.total_allocated_bytes()

    with pytest.raises(InvalidInputError, match=r"rows 1 to 65,536 of the file unfold to more than 134217728 bytes"):
        read_range(path, PARQUET, signature, span, "id")

    assert pa.total_allocated_bytes() - before < 2**20
    assert read_range(path, PARQUET, signature, span).n_rows == 2**16  # without the column of strings


def test_repeated_strings_of_ordinary_length_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({f"w{at}": ["Southampton, Cherbourg, Queenstown"] * 2**16 for at in range(40)}), path)
    columns = tuple(Column(f"w{at}", STRING, nullable=True, dtype="str") for at in range(40))

    parts = _parts(path, PARQUET, Signature(Layout.FRAME, columns, (Method.PREDICT,)), 2**16, 2**23)

    assert sum(part.n_rows for part in parts) == 2**16
