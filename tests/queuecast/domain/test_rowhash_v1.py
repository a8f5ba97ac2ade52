"""Stored manifests name rowhash-v1, so their rows stay on the sides where they are.

A row's side depends on the row alone: not on its container, its neighbours or the order of its columns.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

from queuecast.domain import holdout as splits
from queuecast.domain.holdout import HoldoutRule
from tests.queuecast.domain.holdout_rows import passengers, sides

holdout = partial(splits.holdout, method="rowhash-v1")
NAMES = ["age", "sex", "fare"]


def test_a_data_frame_and_its_rows_as_dicts_have_the_same_split() -> None:
    rows = passengers(500)

    assert sides(holdout(pd.DataFrame(rows))) == sides(holdout(rows))


def test_an_array_and_its_rows_as_lists_have_the_same_split() -> None:
    array = np.random.default_rng(7).normal(size=(500, 4))

    assert sides(holdout(array)) == sides(holdout(array.tolist())) == sides(holdout([tuple(row) for row in array]))


def test_an_array_is_split_like_a_frame_with_the_columns_x0_x1() -> None:
    array = np.random.default_rng(7).normal(size=(500, 2))

    assert sides(holdout(array)) == sides(holdout(pd.DataFrame(array, columns=["x0", "x1"])))


@pytest.mark.parametrize("dtype", ["Float64", "object"])
def test_the_dtype_of_a_numeric_column_does_not_matter(dtype: str) -> None:
    rows = pd.DataFrame(passengers(500))

    assert sides(holdout(rows.astype({"age": dtype, "fare": dtype}))) == sides(holdout(rows))


@pytest.mark.parametrize("dtype", ["int8", "uint64", "Int64", "float64", "object"])
def test_the_dtype_of_an_integer_column_does_not_matter(dtype: str) -> None:
    rows = pd.DataFrame({"pclass": [1, 2, 3] * 40, "number": range(120)})

    assert sides(holdout(rows.astype(dtype))) == sides(holdout(rows))


@pytest.mark.parametrize("dtype", ["category", "object", "string"])
def test_the_dtype_of_a_string_column_does_not_matter(dtype: str) -> None:
    rows = pd.DataFrame(passengers(500))

    assert sides(holdout(rows.astype({"sex": dtype}))) == sides(holdout(rows))


def test_a_frame_read_back_from_csv_has_the_same_split(tmp_path: Any) -> None:
    rows = pd.DataFrame(passengers(2000))
    rows.to_csv(tmp_path / "rows.csv", index=False)

    assert sides(holdout(pd.read_csv(tmp_path / "rows.csv"))) == sides(holdout(rows))


SAME: list[list[Any]] = [
    [1, 1.0, True, np.int64(1), np.float64(1), np.bool_(True), np.int8(1)],
    [0, 0.0, -0.0, False, np.bool_(False), np.float64(-0.0)],
    [None, float("nan"), np.nan, pd.NA, pd.NaT],
    [0.1, np.float64(0.1), 0.1 + 1e-16],
    ["S", np.str_("S")],
]


@pytest.mark.parametrize("equals", SAME, ids=lambda values: repr(values[0]))
def test_equal_values_of_different_libraries_are_on_one_side(equals: list[Any]) -> None:
    # Each value is in twenty rows, so two different texts would agree by chance once in a million.
    found = {tuple(holdout([{"a": value, "b": companion} for companion in range(20)], 0.5).test) for value in equals}

    assert len(found) == 1


def test_the_text_of_a_number_is_not_the_number_and_an_empty_text_is_not_missing() -> None:
    rows = [{"a": value, "b": companion} for value in ("1", 1, "", None) for companion in range(64)]

    test = set(holdout(rows, 0.5).test)
    patterns = {tuple(64 * block + row in test for row in range(64)) for block in range(4)}
    assert len(patterns) == 4


def test_the_order_of_the_columns_does_not_matter() -> None:
    rows = pd.DataFrame(passengers(500))

    assert sides(holdout(rows[["fare", "age", "sex"]])) == sides(holdout(rows))


def test_the_order_in_which_deciding_columns_are_named_does_not_matter() -> None:
    rows = passengers(500)

    assert sides(holdout(rows, columns=["fare", "age"])) == sides(holdout(rows, columns=["age", "fare"]))


def test_equal_rows_land_on_one_side() -> None:
    rows = passengers(50)

    split = holdout(rows * 4)

    test = set(split.test)
    assert all(len({position + 50 * copy in test for copy in range(4)}) == 1 for position in range(50))


def test_the_split_never_changes() -> None:
    """An old champion was fitted without these rows. With another hash, it would be scored on rows it has seen."""
    rows = [{"age": number / 2, "sex": ("male", "female", None)[number % 3]} for number in range(24)]

    assert holdout(rows, 0.5).test == [0, 4, 10, 13, 14, 19, 23]


def test_the_rule_has_the_parameters_that_repeat_the_split() -> None:
    split = holdout(passengers(1), 0.25, ["fare", "age"])

    assert split.rule == HoldoutRule(0.25, ("fare", "age"), "rowhash-v1")


def test_a_missing_column_is_reported_with_the_existing_columns() -> None:
    with pytest.raises(ValueError, match="no column 'deck' in the rows; they have age, sex, fare"):
        holdout(passengers(3), columns=["age", "deck"])


def test_a_row_with_other_columns_than_the_first_is_reported() -> None:
    with pytest.raises(ValueError, match="row 1 has the columns age, expected age, sex, fare"):
        holdout([*passengers(1), {"age": 3}])


def test_a_whole_number_too_large_for_a_float_has_a_side() -> None:
    split = holdout([{"id": 10**400}])

    assert len(split.train) + len(split.test) == 1
