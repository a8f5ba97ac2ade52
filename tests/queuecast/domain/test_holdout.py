"""A row's side depends on the row alone, and survives the files that pandas writes and reads with its defaults."""

import io
from collections import UserDict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import sparse

import queuecast
from queuecast.domain.holdout import METHODS, HoldoutRule, holdout
from queuecast.domain.holdout.row_source import read_source
from queuecast.domain.holdout.rowhash_v2 import cell_text, hash_rows
from tests.queuecast.domain.holdout_rows import passengers, sides

REVIEWS = [f"review {number} of a café" for number in range(200)]


# Kinds of rows


def test_the_package_offers_it_by_name() -> None:
    assert queuecast.holdout is holdout


def test_a_data_frame_and_its_rows_as_dicts_have_the_same_split() -> None:
    rows = passengers(500)

    assert sides(holdout(pd.DataFrame(rows))) == sides(holdout(rows)) == sides(holdout([UserDict(row) for row in rows]))


def test_a_polars_frame_has_the_split_of_its_pandas_frame() -> None:
    rows = passengers(500)

    assert sides(holdout(polars.DataFrame(rows))) == sides(holdout(rows))


def test_an_array_a_sparse_matrix_and_its_rows_have_the_same_split() -> None:
    array = np.random.default_rng(7).normal(size=(500, 12)).round(0)
    expected = sides(holdout(array))

    assert len(set(map(tuple, array))) > 400
    for rows in (
        *(array.tolist(), [tuple(row) for row in array], list(array), array.astype(object)),
        *(sparse.csr_matrix(array), sparse.csc_array(array), sparse.coo_array(array), sparse.lil_matrix(array)),
        *(pd.DataFrame(array), pd.DataFrame(array, columns=[f"x{index}" for index in range(12)])),
        pd.DataFrame(array).astype(pd.SparseDtype("float64", 0.0)),
    ):
        assert sides(holdout(rows)) == expected, type(rows)


def test_columns_of_a_sparse_matrix_can_decide() -> None:
    array = np.random.default_rng(7).integers(0, 3, size=(500, 12))

    assert sides(holdout(sparse.csr_matrix(array), columns=["x1", "x10"])) == sides(
        holdout(array, columns=["x10", "x1"])
    )


def test_texts_of_every_container_have_the_same_split() -> None:
    expected = sides(holdout(REVIEWS))

    assert len(expected[1]) > 20
    for rows in (tuple(REVIEWS), pd.Series(REVIEWS), np.array(REVIEWS), np.array(REVIEWS, dtype=object)):
        assert sides(holdout(rows)) == expected, type(rows)


def test_a_polars_series_of_texts_has_the_split_of_its_list() -> None:

    assert sides(holdout(polars.Series(REVIEWS))) == sides(holdout(REVIEWS))


def test_dicts_may_have_different_names_and_a_missing_name_is_a_missing_value() -> None:
    rows = [{"city": f"c{n}"} if n % 2 else {"city": f"c{n}", "rain": n} for n in range(200)]

    assert sides(holdout(rows)) == sides(holdout(pd.DataFrame(rows))) == sides(holdout(pd.Series(rows)))
    assert holdout(rows).rule.columns == ()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("rows.csv", "rows is a str, .* read the file first"),
        (Path("rows.csv"), "rows is a PosixPath, .* read the file first"),
        (b"rows", "rows is a bytes"),
        ({"age": [1, 2]}, r"rows is a dict, .* for one row write \[row\]"),
        ({"a"}, "rows is a set, expected a DataFrame"),
        ((row for row in [[1]]), "rows is a generator, expected a DataFrame"),
        (5, "rows is a int, expected a DataFrame"),
        (None, "rows is a NoneType, expected a DataFrame"),
        (pd.DataFrame, "rows is the class DataFrame, expected a DataFrame"),
        ([1, 2, 3], "row 0 is a int, expected a dict, a list of values or a text"),
        (["a", 1], "row 1 is a int, expected a text like the rows before it"),
        ([{"a": 1}, [1]], "row 1 is a list, expected a dict like row 0"),
        ([[1], {"a": 1}], "row 1 is a dict, expected a list of values like row 0"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_another_kind_of_rows_is_refused_with_the_kinds_that_are_taken(rows: Any, expected: str) -> None:
    with pytest.raises(TypeError, match=expected):
        holdout(rows)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_numpy_matrix_is_refused_with_the_call_that_helps() -> None:
    with pytest.raises(TypeError, match=r"rows is a matrix, .* call numpy.asarray on it first"):
        holdout(np.matrix([[1, 2]]))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.zeros(3), "the shape 3, expected 2 dimensions"),
        (np.zeros((2, 2, 2)), "the shape 2x2x2, expected 2 dimensions"),
        (np.array(1), "expected 2 dimensions"),
        (pd.Series([1.5, 2.5]), "the shape 2, expected 2 dimensions"),
        ([[1, 2], [3]], "row 1 has 1 values, expected 2 like row 0"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the column 'a' occurs more than once"),
    ],
    ids=str,
)
def test_rows_of_another_shape_are_refused(rows: Any, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        holdout(rows)


def test_a_lazy_or_arrow_table_is_refused_with_the_call_that_helps() -> None:

    with pytest.raises(TypeError, match=r"call .collect\(\) on it first"):
        holdout(polars.LazyFrame({"a": [1]}))
    with pytest.raises(TypeError, match=r"call .to_pandas\(\) on it first"):
        holdout(polars.DataFrame({"a": [1]}).to_arrow())


# Whole numbers


def test_whole_numbers_of_more_than_twelve_digits_are_on_different_sides() -> None:
    frame = pd.DataFrame({"id": 2**60 + np.arange(1000)})

    assert 150 < len(holdout(frame).test) < 250
    assert sides(holdout(frame)) == sides(holdout(frame.astype("uint64"))) == sides(holdout(frame.astype("Int64")))


@pytest.mark.parametrize("number", [10**400, -(10**5000), 2**64], ids=["400 digits", "5000 digits", "65 bits"])
def test_a_whole_number_of_any_size_has_a_side(number: int) -> None:
    assert cell_text(number) != cell_text(number + 1) != ""


@pytest.mark.parametrize("dtype", ["int8", "uint64", "Int64", "float64", "float32", "object", "str"])
def test_the_dtype_of_an_integer_column_does_not_matter(dtype: str) -> None:
    rows = pd.DataFrame({"pclass": [1, 2, 3] * 40, "number": range(120)})

    assert sides(holdout(rows.astype(dtype))) == sides(holdout(rows))


# Values

SAME: list[list[Any]] = [
    [
        1,
        1.0,
        True,
        np.int64(1),
        np.float64(1),
        np.bool_(True),
        np.int8(1),
        "1",
        "1.0",
        "01",
        " 1",
        "True",
        Decimal("1.0"),
    ],
    [0, 0.0, -0.0, False, np.bool_(False), None, float("nan"), pd.NA, pd.NaT, "", "NA", "null", np.datetime64("NaT")],
    [0.1, np.float64(0.1), np.nextafter(0.1, 1), np.float32(0.1), np.float16(0.1), "0.1", "1e-1", Decimal("0.1")],
    ["S", np.str_("S")],
    ["a\nb", "a\r\nb"],
    [2**60 + 1, str(2**60 + 1), np.int64(2**60 + 1), Decimal(2**60 + 1)],
    [date(2020, 1, 2), datetime(2020, 1, 2), pd.Timestamp("2020-01-02"), "2020-01-02", "2020-01-02T00:00:00.000"],
    [datetime(2020, 1, 2, tzinfo=UTC), pd.Timestamp("2020-01-02 01:00", tz="CET"), "2020-01-02 00:00:00+00:00"],
    [np.datetime64("2020-01-02T03:04:05.5", "ns"), "2020-01-02 03:04:05.500", pd.Timestamp("2020-01-02 03:04:05.5")],
    [timedelta(1), pd.Timedelta("1D"), np.timedelta64(1, "D"), "1 days", "1 days 00:00:00", "P1DT0H0M0S"],
    [pd.Timedelta("-1h"), "-1 days +23:00:00", timedelta(hours=-1)],
]


@pytest.mark.parametrize("equals", SAME, ids=lambda values: repr(values[0]))
def test_equal_values_of_different_libraries_and_files_are_one(equals: list[Any]) -> None:
    assert {cell_text(value): repr(value) for value in equals}.keys() == {cell_text(equals[0])}


def test_different_values_have_different_texts() -> None:
    values = ["a", "A", "b", 1, 2, -1, 1.5, -1.5, 1e-300, 1e300, 10.0**12 + 0.5, "1 2", "x1", date(2020, 1, 2)]
    values += [datetime(2020, 1, 2, 3), timedelta(1), [1], [2], {"a": 1}, {"a": 2}, 123.4567890124, 123.4567890136]

    assert len({cell_text(value) for value in values}) == len(values)


# Files


def frame_of_all_kinds(count: int = 2000) -> pd.DataFrame:
    draw = np.random.default_rng(7)
    holes = draw.random(count) < 0.1
    return pd.DataFrame(
        {
            "normal": draw.normal(size=count),
            "large": draw.lognormal(8, 4, size=count),
            "small": draw.random(count) / 1000,
            "holes": np.where(holes, np.nan, draw.random(count)),
            "count": draw.integers(-5, 5, count),
            "id": draw.integers(2**60, 2**62, count),
            "flag": draw.random(count) < 0.5,
            "maybe": pd.array(np.where(holes, None, draw.random(count) < 0.5), dtype="boolean"),
            "port": pd.Categorical(draw.choice(["S", "C", "Q", "NA", "", "None"], count)),
            "zip": [f"{number:05d}" for number in draw.integers(0, 10**5, count)],
            "note": [f"café {number},\n'{number}'" for number in range(count)],
        }
    )


def test_a_csv_file_of_pandas_defaults_moves_no_row() -> None:
    frame = frame_of_all_kinds()

    assert sides(holdout(pd.read_csv(io.StringIO(frame.to_csv(index=False))))) == sides(holdout(frame))


@pytest.mark.parametrize("orient", ["records", "split", "columns"])
def test_a_json_file_of_pandas_defaults_moves_no_row(orient: Any) -> None:
    frame = frame_of_all_kinds()

    read = pd.read_json(io.StringIO(frame.to_json(orient=orient)), orient=orient)
    assert (read["normal"] != frame["normal"]).mean() > 0.9
    assert sides(holdout(read)) == sides(holdout(frame))


def test_a_csv_file_of_dates_and_durations_moves_no_row() -> None:
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=500),
            "at": pd.date_range("2020-01-01", periods=500, freq="1234567us", tz="CET"),
            "took": pd.to_timedelta(range(500), unit="h"),
        }
    )

    assert sides(holdout(pd.read_csv(io.StringIO(frame.to_csv(index=False))))) == sides(holdout(frame))


def test_a_float32_column_read_as_doubles_moves_no_row() -> None:
    frame = pd.DataFrame(np.random.default_rng(7).normal(size=(500, 3)).astype("float32"), columns=list("abc"))
    expected = sides(holdout(frame))

    assert sides(holdout(pd.read_csv(io.StringIO(frame.to_csv(index=False))))) == expected
    assert sides(holdout(frame.astype("Float32"))) == expected
    array = frame.rename(columns=dict(zip("abc", ["x0", "x1", "x2"], strict=True)))
    assert sides(holdout(frame.to_numpy())) == sides(holdout(array))


@given(st.floats(-1e300, 1e300))
@example(0.5 + 5e-11)
@example(2.9999999999999996)
@example(123.45678901249999)
@example(99999.999999999)
@example(1.1106317770500002e16)
def test_a_number_has_the_same_text_after_a_json_file(number: float) -> None:
    text = pd.DataFrame({"a": [number, 0.5]}).to_json(orient="split")
    read = pd.read_json(io.StringIO(text), orient="split")["a"].iloc[0]

    if abs(number) >= 1e-8 or number == 0:  # JSON with ten decimals does not keep smaller ones
        assert cell_text(float(read)) == cell_text(number)


# The split

PINNED = [0, 2, 4, 5, 7, 8, 9, 10, 14, 15, 17, 20]


def test_the_split_never_changes() -> None:
    """An old champion was fitted without these rows. With another hash, it would be scored on rows it has seen."""
    rows = [{"age": number / 2, "sex": ("male", "female", None)[number % 3]} for number in range(24)]

    assert holdout(rows, 0.5).test == PINNED
    assert holdout(rows, 0.5, method="rowhash-v1").test == [0, 4, 10, 13, 14, 19, 23]


CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from([2**60, 2.0**60]))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1))
@example([(2**60, 1), (2.0**60, "1")])  # equal in Python
def test_a_table_is_split_as_its_rows_one_by_one(rows: list[tuple[Any, Any]]) -> None:
    table = pd.DataFrame({"a": pd.Series([a for a, _ in rows], dtype=object), "b": [b for _, b in rows]}, dtype=object)

    assert hashes(table) == hashes([{"a": a, "b": b} for a, b in rows])


@pytest.mark.parametrize("n_columns", [1, 40])
def test_a_table_of_many_rows_or_columns_is_split_as_its_rows_one_by_one(n_columns: int) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(200_000 // n_columns, n_columns)).round(4))
    table = table.add_prefix("x").assign(word=np.resize(["a", "b", None], len(table)))

    assert hashes(table) == hashes(table.to_dict("records"))


def hashes(rows: Any) -> list[int]:
    return list(hash_rows(read_source(rows))[1])


def test_the_order_of_the_columns_does_not_matter() -> None:
    rows = pd.DataFrame(passengers(500))

    assert sides(holdout(rows[["fare", "age", "sex"]])) == sides(holdout(rows))
    assert sides(holdout(rows, columns=["fare", "age"])) == sides(holdout(rows, columns=["age", "fare"]))


def test_the_rule_has_the_parameters_that_repeat_the_split() -> None:
    split = holdout(passengers(1), 0.25, ["fare", "age"])

    assert split.rule == HoldoutRule(0.25, ("fare", "age"), "rowhash-v2")


def test_a_split_is_shown_on_a_short_line() -> None:
    split = holdout(pd.DataFrame({"a": range(10_000)}))

    assert repr(split) == f"<Split of 10,000 rows: {len(split.train):,} train, {len(split.test):,} test (rowhash-v2)>"
    assert "&lt;Split of 10,000 rows: " in split._repr_html_()


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="method is 'random', expected rowhash-v1 or rowhash-v2"):
        holdout(passengers(3), method="random")


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_column_is_reported_with_the_existing_columns(method: str) -> None:
    with pytest.raises(ValueError, match="no column 'deck' in the rows; they have age, sex, fare"):
        holdout(passengers(3), columns=["age", "deck"], method=method)
