"""Rows and example tables of pandas, numpy and plain Python as JSON."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from queuecast.client import Client
from queuecast.client.json_rows import example_table, json_rows, target_names
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
        ([{"a": 1}, {"when": datetime.now(UTC)}], ValueError, "row 1, column 'when': a datetime"),
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
            {"name": "port", "dtype": "category", "categories": ["C", "S"]},
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
        (pd.DataFrame([[1, 2]]), "int64"),
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


@pytest.mark.parametrize(
    "x", [pd.DataFrame({"a": range(501)}), np.zeros((501, 1)), [[0]] * 501, scipy.sparse.csr_matrix((501, 1))]
)
def test_the_example_table_has_at_most_500_rows(x: Any) -> None:
    assert len(example_table(x)["rows"]) == 500


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
        (pd.to_datetime(["2026-01-31"]), "datetime64"),
        (pd.to_timedelta(["1h"]), "timedelta64"),
        ([1 + 2j], "complex128"),
        (pd.arrays.SparseArray([1.0]), "Sparse"),
    ],
)
def test_a_dtype_that_json_cannot_hold_is_refused_with_its_name(values: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"column 'when' has the dtype {dtype}"):
        example_table(pd.DataFrame({"when": values}))


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
