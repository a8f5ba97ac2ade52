"""The names of a frame's columns travel as text, and a worker makes the same names of their labels again."""

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pandas as pd
import pytest

from queuecast.domain.columns.labels import FrameLabels
from queuecast.tables.column_labels import labels_of, text_names
from worker.models.columns.frame_labels import index_of

NAMES: dict[str, Any] = {
    "range": pd.RangeIndex(3),
    "range with steps": pd.RangeIndex(2, 9, 3, name="feature"),
    "one of a range": pd.RangeIndex(4, 5),
    "whole numbers": pd.Index([3, 1, 2]),
    "small whole numbers": pd.Index([3, 1], dtype="uint8"),
    "fractions": pd.Index([1.5, np.nan, -0.25]),
    "booleans": pd.Index([True, False]),
    "dates": pd.Index([dt.date(2024, 1, 2), dt.date(2024, 2, 1)], dtype=object),
    "days": pd.date_range("2024-01-01", periods=2),
    "nanoseconds": pd.to_datetime(["2024-01-01T00:00:00.000000001"]),
    "zone": pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin", unit="ns", name="day"),
    "durations": pd.to_timedelta([1, 2], unit="h"),
    "months": pd.period_range("2024-01", periods=2, freq="M", name=("a", 1)),
    "levels": pd.MultiIndex.from_tuples([("b", 1), ("a", 2), ("b", 3)], names=["letter", 0]),
    "levels of days": pd.MultiIndex.from_product([["x", None], pd.date_range("2024-01-01", periods=2)]),
    "tuples": pd.Index([("a", "b"), ("a", ("c", 1))], dtype=object, tupleize_cols=False),
    "numpy's numbers": pd.Index([np.int64(7), np.float32(0.5), np.bool_(True)], dtype=object),
    "many kinds": pd.Index(
        [
            *(1, 1.5, True, None, pd.NA, pd.NaT, "a", ("a", 1), Decimal("1.5"), dt.date(2024, 1, 2), dt.time(1, 2)),
            *(dt.timedelta(1), dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
            *(pd.Timestamp("2024-01-01T00:00:00.000000001"), pd.Timedelta("5ns"), pd.Period("2024-05", "M")),
        ],
        dtype=object,
        tupleize_cols=False,
    ),
}


@pytest.mark.parametrize("columns", NAMES.values(), ids=NAMES)
def test_names_are_the_same_again_in_class_value_and_levels(columns: Any) -> None:
    labels = labels_of(columns)

    sent = msgspec.json.decode(msgspec.json.encode(labels), type=FrameLabels)
    again = index_of(sent)

    pd.testing.assert_index_equal(again, columns, exact=True, check_freq=False)
    assert [(type(name), repr(name)) for name in again] == [(type(name), repr(name)) for name in columns]
    assert [(type(name), name) for name in again.names] == [(type(name), name) for name in columns.names]
    assert index_of(sent) is again


def test_names_that_are_text_have_no_labels() -> None:
    assert labels_of(pd.Index(["a", "b"])) is None
    assert labels_of(pd.CategoricalIndex(["a", "b"])) is None
    assert labels_of(pd.Index([np.str_("a")], dtype=object)) is None


@pytest.mark.parametrize("columns", NAMES.values(), ids=NAMES)
def test_the_text_of_a_name_is_its_str(columns: Any) -> None:
    texts = text_names(columns) if columns is not NAMES["many kinds"] else list(map(str, columns))

    assert texts == [str(name) for name in columns]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["a", "a"], "the column 'a' occurs more than once"),
        ([1, "1"], "the columns 1 and '1' have the same text '1'"),
        ([0, 0], "the columns 0 and 0 have the same text '0'"),
        ([dt.date(2024, 1, 2), "2024-01-02"], "have the same text '2024-01-02'"),
    ],
)
def test_two_columns_with_the_same_text_are_refused(columns: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        text_names(pd.Index(columns, dtype=object))


@pytest.mark.parametrize("name", [pd.Interval(0, 1), 1j, frozenset([1]), np.datetime64("2024-01-01")])
def test_a_name_of_another_class_is_refused_with_the_way_out(name: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot be sent; expected text.*frame\.columns\.map\(str\)"):
        labels_of(pd.Index([name], dtype=object, tupleize_cols=False))
