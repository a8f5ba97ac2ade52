"""Rows and example tables of pandas, numpy and plain Python as JSON."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dateutil.tz
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from queuecast.client import Client
from queuecast.client.row_formats.json_rows import example_table, json_rows
from queuecast.client.row_formats.target_columns import target_names
from tests.queuecast.scripted_gateway import ScriptedGateway


def test_a_data_frame_becomes_rows_of_plain_values_with_null_for_missing_values() -> None:
    frame = pd.DataFrame(
        {
            "age": [29.0, np.nan],
            "sibsp": np.array([0, 1], dtype="int64"),
            "parch": pd.array([2, None], dtype="Int64"),
            "alone": pd.array([True, None], dtype="boolean"),
            "sex": ["female", None],
            "port": pd.Categorical(["S", None], categories=["S", "C"]),
        }
    )

    assert json_rows(frame) == [
        {"age": 29.0, "sibsp": 0, "parch": 2, "alone": True, "sex": "female", "port": "S"},
        {"age": None, "sibsp": 1, "parch": None, "alone": None, "sex": None, "port": None},
    ]


def test_the_scalars_of_a_row_are_python_values() -> None:
    row = json_rows([{"a": np.int64(1), "b": np.float32(0.5), "c": np.bool_(True), "d": pd.NA, "e": np.str_("x")}])[0]

    assert [type(value) for value in row.values()] == [int, float, bool, type(None), str]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (pd.DataFrame([[1, 2]]), [[1, 2]]),  # column names 0 and 1: scikit-learn sees no names
        (scipy.sparse.csr_matrix([[0, 3]]), [[0, 3]]),
        ([(1, "a")], [[1, "a"]]),
        ([np.array([1, 2])], [[1, 2]]),
        ([pd.Series({"a": 1.5, "b": None})], [{"a": 1.5, "b": None}]),
    ],
    ids=["array", "frame without names", "sparse", "tuples", "arrays", "series"],
)
def test_rows_may_have_every_type_that_scikit_learn_takes(rows: Any, expected: Any) -> None:
    assert json_rows(rows) == expected


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ({"age": 29}, TypeError, r"rows is a dict.*write \[row\]"),
        ("titanic.csv", TypeError, "rows is a str"),
        ([1, 2], TypeError, "row 0 is a int"),
        (np.array([1.0, 2.0]), ValueError, r"shape 2, expected 2 dimensions.*reshape\(1, -1\)"),
        ([{"fare": float("inf")}], ValueError, "row 0, column 'fare': inf"),
        ([{"a": 1}, {"when": 1j}], ValueError, "row 1, column 'when': a complex"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "column 'a' occurs more than once"),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_with_its_place(rows: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        json_rows(rows)


def test_rows_that_cannot_be_sent_are_refused_before_anything_is_sent(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(ValueError, match="inf cannot be sent"):
        client.predict("titanic", [[float("inf")]])

    assert gateway.requests == []


# Example tables


def test_the_example_table_of_a_frame_keeps_dtypes_and_categories() -> None:
    frame = pd.DataFrame(
        {
            "sibsp": np.array([1, 0], dtype="int64"),
            "age": [np.nan, 4.5],
            "port": pd.Categorical(["S", None], categories=["C", "S"]),
            "parch": pd.array([None, 2], dtype="Int64"),
            "alone": [True, False],
            "cabin": pd.Series([None, "C22"], dtype=object),
        }
    )

    assert example_table(frame) == {
        "layout": "frame",
        "columns": [
            {"name": "sibsp", "dtype": "int64"},
            {"name": "age", "dtype": "float64"},
            {"name": "port", "dtype": "category", "categories": ["C", "S"], "inner": "str"},
            {"name": "parch", "dtype": "Int64"},
            {"name": "alone", "dtype": "bool"},
            {"name": "cabin", "dtype": "object", "missing": ["None"]},
        ],
        "rows": [[1, None, "S", None, True, None], [0, 4.5, None, 2, False, "C22"]],
    }


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.array([[1.5, 2.0]], dtype="float32"), "float32"),
        (np.array([["a", "b"]]), "<U1"),
        (scipy.sparse.coo_matrix([[1.0, 2.0]]), "float64"),
        ([[True, False]], "bool"),
        ([[1, 2]], "int64"),
        ([[1, None]], "float64"),
        ([[1, "a"]], "object"),
    ],
)
def test_the_example_table_without_column_names_is_an_array_of_one_dtype(x: Any, dtype: str) -> None:
    table = example_table(x)

    assert table["layout"] == "array"
    assert table["columns"] == [{"name": "x0", "dtype": dtype}, {"name": "x1", "dtype": dtype}]


def test_the_example_table_of_a_frame_whose_names_are_no_text_has_their_texts_and_labels() -> None:
    table = example_table(pd.DataFrame([[1, "a"]], columns=pd.Index([3, 1], name="k")))

    assert [column["name"] for column in table["columns"]] == ["3", "1"]
    assert [column["dtype"] for column in table["columns"]] == ["int64", "str"]
    level = {"name": ("str", "k"), "dtype": "int64", "labels": (("int", "3"), ("int", "1"))}
    assert table["labels"] == {"levels": (level,), "is_multi": False}
    assert table["rows"] == [[1, "a"]]


@pytest.mark.parametrize(
    "x", [pd.DataFrame({"a": range(501)}), np.zeros((501, 1)), [[0]] * 501, scipy.sparse.csr_matrix((501, 1))]
)
def test_the_example_table_has_at_most_500_rows(x: Any) -> None:
    assert len(example_table(x)["rows"]) == 500


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, np.asarray, scipy.sparse.csr_matrix])
def test_the_example_of_a_sorted_table_has_rows_of_all_its_parts(kind: Any) -> None:
    rows = kind(np.arange(1.0, 10_001.0).reshape(-1, 1))

    found = [value for (value,) in example_table(rows)["rows"]]

    assert found == sorted(found) == [value for (value,) in example_table(rows)["rows"]]
    assert [sum(low < value <= low + 2500 for value in found) // 100 for low in (0, 2500, 5000, 7500)] == [1, 1, 1, 1]


def test_a_value_that_cannot_be_sent_is_named_by_its_row_in_the_table() -> None:
    values = np.arange(1000.0)
    values[900:] = np.inf

    with pytest.raises(ValueError, match=r"row 9[0-9][0-9], column 'a': inf cannot be sent"):
        example_table(pd.DataFrame({"a": values}))


@pytest.mark.parametrize(
    "x",
    [
        pd.DataFrame(np.zeros((501, 7000)), columns=[f"c{at}" for at in range(7000)]),
        np.zeros((501, 7000)),
        [[0] * 7000] * 501,
        scipy.sparse.csr_matrix((501, 7000)),
    ],
    ids=["frame", "array", "lists", "sparse"],
)
def test_the_example_table_of_a_wide_table_has_fewer_rows(x: Any) -> None:
    assert len(example_table(x)["rows"]) == 71


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.period_range("2026-01", periods=1, freq="M"), "period"),
        (pd.interval_range(0, 1), "interval"),
        ([1 + 2j], "complex128"),
        (pd.arrays.SparseArray([1j]), "Sparse"),
        (pd.to_datetime(["2026-01-31"]).tz_localize(dateutil.tz.gettz("Europe/Berlin")), r"datetime64.*tz_convert"),
    ],
)
def test_a_dtype_that_json_cannot_hold_is_refused_with_its_name(values: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"column 'when' has the dtype {dtype}"):
        example_table(pd.DataFrame({"when": values}))


def test_times_durations_and_decimals_are_sent_as_text_to_the_nanosecond() -> None:
    at = datetime(2026, 1, 31, 12, 30, tzinfo=timezone(timedelta(hours=1)))
    row = {
        "stamp": pd.Timestamp("2026-01-31T12:30:00.000000001"),
        "numpy": np.datetime64("2026-01-31T12:30:00.000000001", "ns"),
        "days": np.datetime64("2026-01-31", "D"),
        "at": at,
        "date": at.date(),
        "time": at.time(),
        "span": timedelta(days=1, seconds=-1),
        "long": pd.Timedelta("-1ns"),
        "short": np.timedelta64(5, "ns"),
        "price": Decimal("12.50"),
        "none": [pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT"), Decimal("NaN")][0],
    }

    assert json_rows([row]) == [
        {
            "stamp": "2026-01-31T12:30:00.000000001",
            "numpy": "2026-01-31T12:30:00.000000001",
            "days": "2026-01-31T00:00:00",
            "at": "2026-01-31T12:30:00+01:00",
            "date": "2026-01-31",
            "time": "12:30:00",
            "span": "P0DT23H59M59S",
            "long": "P-1DT23H59M59.999999999S",
            "short": "P0DT0H0M0.000000005S",
            "price": "12.5",
            "none": None,
        }
    ]


@pytest.mark.parametrize("value", [pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT"), Decimal("NaN"), pd.NA])
def test_every_missing_value_is_null(value: Any) -> None:
    assert json_rows([[value]]) == [[None]]


@pytest.mark.parametrize(
    ("values", "inner"),
    [
        ([date(2026, 1, 31), None], "date"),
        ([datetime(2026, 1, 31)], "datetime"),
        ([datetime(2026, 1, 31, tzinfo=UTC)], "datetime, UTC"),
        ([datetime(2026, 1, 31, tzinfo=ZoneInfo("Europe/Berlin"))], "datetime, Europe/Berlin"),
        ([datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=1), "here"))], "datetime, UTC+01:00"),
        ([datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 31, tzinfo=ZoneInfo("Asia/Tokyo"))], "datetime, UTC"),
        ([pd.Timestamp("2026-01-31", tz="Asia/Tokyo")], "Timestamp, Asia/Tokyo"),
        ([time(12)], "time"),
        ([Decimal(1), float("nan")], "Decimal"),
        (["2026-01-31"], None),
        ([None], None),
    ],
)
def test_the_example_table_names_the_class_of_objects(values: list[Any], inner: str | None) -> None:
    (column,) = example_table(pd.DataFrame({"c": pd.Series(values, dtype=object)}))["columns"]

    assert column.get("inner") == inner


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([date(2026, 1, 31), "x"], "column 'c' holds date and str"),
        ([time(12, tzinfo=UTC)], "column 'c' holds times of day with an offset"),
        ([np.datetime64("2026-01-31")], "column 'c' holds objects of the class datetime64"),
    ],
)
def test_objects_of_several_classes_are_refused_with_the_column(values: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        example_table(pd.DataFrame({"c": pd.Series(values, dtype=object)}))


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (None, None),
        (pd.Series([1], name="survived"), ["survived"]),
        (pd.Series([1]), ["target"]),
        (pd.DataFrame({"a": [1], "b": [2]}), ["a", "b"]),
        (np.array([1]), ["target"]),
        ([1, 0], ["target"]),
        (np.zeros((2, 2)), ["target0", "target1"]),
    ],
)
def test_the_target_has_the_names_of_y(y: Any, names: list[str] | None) -> None:
    assert target_names(y) == names
