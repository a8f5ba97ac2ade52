"""Dates, times, durations and decimals are read from text exactly or not at all, and dtypes have bounds."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuecast.domain.columns.dtypes import kind_named, moments_of
from queuecast.domain.columns.moments import (
    datetime_ns,
    datetime_text,
    decimal_of,
    decimal_text,
    duration_ns,
    duration_text,
    time_ns,
    time_text,
)
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.queuecast.domain.column_bounds import BOUNDS

DAY = 86_400 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", (0, False)),
        ("1970-01-02T00:00", (DAY, False)),
        ("1970-01-01 00:00:01.000000001", (10**9 + 1, False)),
        ("1970-01-01T00:00:00Z", (0, True)),
        ("1970-01-01T01:00:00+01:00", (0, True)),
        ("1970-01-01 00:00:00-0130", (90 * 60 * 10**9, True)),
        ("1969-12-31T23:59:59.5+00", (-(10**9) // 2, True)),
        ("0001-01-01", (-719162 * DAY, False)),
    ],
)
def test_a_date_and_time_is_read_to_the_nanosecond(text: str, expected: tuple[int, bool]) -> None:
    assert datetime_ns(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026", "2026-1-1", "2026-02-30", "0000-01-01", "20260131", "2026-01-31T", "2026-01-31T24:00"),
        *("2026-01-31T12:60", "2026-01-31T12:00:61", "2026-01-31T12:00:00.", "2026-01-31T12:00:00.0000000001"),
        *("2026-01-31Z", "2026-01-31T12:00+25:00", " 2026-01-31", "2026-01-31\n", "\uff12026-01-31", "31.01.2026"),
    ],
)
def test_another_text_is_no_date(text: str) -> None:
    assert datetime_ns(text) is None


@given(st.datetimes(timezones=st.none() | st.just(UTC)))
def test_every_date_and_time_of_python_is_read_as_it_was(value: datetime) -> None:
    start = datetime(1970, 1, 1, tzinfo=value.tzinfo)

    assert datetime_ns(value.isoformat()) == ((value - start) // timedelta(microseconds=1) * 1000, value.tzinfo is UTC)


@given(st.integers(-719162 * DAY, 2932897 * DAY - 1), st.booleans())
def test_a_date_and_time_has_one_text(nanoseconds: int, is_aware: bool) -> None:
    assert datetime_ns(datetime_text(nanoseconds, is_aware=is_aware)) == (nanoseconds, is_aware)


@given(st.integers(0, DAY - 1))
def test_a_time_of_day_has_one_text(nanoseconds: int) -> None:
    assert time_ns(time_text(nanoseconds)) == nanoseconds


@given(st.integers(-(10**20), 10**20))
def test_a_duration_has_one_text(nanoseconds: int) -> None:
    assert duration_ns(duration_text(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("P1D", 86_400),
        ("P1W", 7 * 86_400),
        ("P1DT2H3M4.5S", 93_784.5),
        ("-P1DT1S", -86_401),
        ("P-1DT23H59M59S", -1),
        ("PT-0.5S", -0.5),
        ("1 days", 86_400),
        ("1 days 00:00:01.5", 86_401.5),
        ("-1 days +23:59:59", -1),
        ("1 day, 0:00:01", 86_401),
        ("36:00:00", 129_600),
    ],
)
def test_a_duration_is_read_as_iso_8601_or_as_pandas_writes_it(text: str, seconds: float) -> None:
    assert duration_ns(text) == int(seconds * 10**9)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "P1Y", "P1M", "1", "1D", "1:2:3", "00:60:00", "P1D ", "1 days "]
)
def test_another_text_is_no_duration(text: str) -> None:
    assert duration_ns(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("12.50", "12.5"), ("-0.1", "-0.1"), ("1e3", "1000"), (3, "3"), (0.1, "0.1"), (1e20, "100000000000000000000")],
)
def test_a_decimal_is_exact(value: Any, expected: str) -> None:
    number = decimal_of(value)

    assert number == Decimal(expected)
    assert number is not None
    assert decimal_text(number) == expected


@pytest.mark.parametrize(
    "value", ["", "x", "1_000", "NaN", "inf", " 1", "1,5", "1e999", "1" * 77, float("nan"), 1e300, 0.1 + 0.2, 10**80]
)
def test_a_decimal_that_may_have_lost_digits_is_refused(value: Any) -> None:
    assert decimal_of(value) is None


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("datetime64[us, Europe/Berlin]", "datetime"),
        ("timestamp[ns, tz=UTC][pyarrow]", "datetime"),
        ("Timestamp, UTC+01:00", "datetime"),
        ("Sparse[float64, nan]", "number"),
        ("decimal128(7, 2)[pyarrow]", "decimal"),
        ("period[M]", None),
        ("complex128", None),
        ("interval[int64, right]", None),
        ("list<item: int64>[pyarrow]", None),
        ("binary[pyarrow]", None),
    ],
)
def test_a_dtype_has_a_kind_or_is_not_served(dtype: str, kind: str | None) -> None:
    assert kind_named(dtype) == kind


def _signature(kind: ColumnType, dtype: str, nullable: bool = False, **options: Any) -> Signature:
    return Signature(Layout.FRAME, (Column("a", kind, nullable, dtype, **options),), (Method.PREDICT,))


@pytest.mark.parametrize(("kind", "dtype", "good", "bad"), BOUNDS)
def test_a_value_fits_its_dtype_or_is_a_finding(kind: ColumnType, dtype: str, good: list[Any], bad: list[Any]) -> None:
    signature = _signature(kind, dtype)

    assert [finding.detail for value in good for finding in signature.findings([{"a": value}])] == []
    assert [finding.code for value in bad for finding in signature.findings([{"a": value}])] == ["wrong_type"] * len(
        bad
    )


@pytest.mark.parametrize(("kind", "dtype", "good", "bad"), BOUNDS)
def test_the_json_schema_takes_what_fits_and_knows_the_bounds_of_numbers(
    kind: ColumnType, dtype: str, good: list[Any], bad: list[Any]
) -> None:
    schema = _signature(kind, dtype).json_schema()
    jsonschema_rs.meta.validate(schema)

    assert all(jsonschema_rs.is_valid(schema, {"a": value}) for value in good)
    if kind in (ColumnType.INTEGER, ColumnType.NUMBER):
        assert not any(jsonschema_rs.is_valid(schema, {"a": value}) for value in bad)


@pytest.mark.parametrize(
    ("kind", "dtype", "found"),
    [
        (ColumnType.DATETIME, "datetime64[us]", "date-time-local"),
        (ColumnType.DATETIME, "datetime64[us, UTC]", "date-time"),
        (ColumnType.DATE, "date32[day][pyarrow]", "date"),
        (ColumnType.TIME, "time64[us][pyarrow]", "time-local"),
        (ColumnType.DURATION, "timedelta64[ns]", "duration"),
        (ColumnType.DECIMAL, "object", "decimal"),
    ],
)
def test_the_json_schema_names_the_format_of_a_text(kind: ColumnType, dtype: str, found: str) -> None:
    assert _signature(kind, dtype).json_schema()["properties"]["a"]["format"] == found


@pytest.mark.parametrize(
    ("kind", "inner", "categories", "good", "bad"),
    [
        (ColumnType.NUMBER, "float64", (1.0, 2.5), [1, 1.0, 2.5], [2, "1.0", True]),
        (ColumnType.BOOLEAN, "bool", (True, False), [True, 1, 0.0], [2, "true"]),
        (
            ColumnType.DATETIME,
            "datetime64[us, UTC]",
            ("2026-01-31T12:00:00+00:00",),
            ["2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00Z", "2026-01-31 14:00:00+02:00"],
            ["2026-01-31T13:00:00Z", "2026-01-31T12:00:00", 1],
        ),
        (ColumnType.DECIMAL, "Decimal", ("1.5",), ["1.50", 1.5], ["1.51", "x"]),
    ],
)
def test_a_category_is_known_by_its_meaning(
    kind: ColumnType, inner: str, categories: Any, good: list[Any], bad: list[Any]
) -> None:
    signature = _signature(kind, "category", categories=categories, inner=inner)

    assert [signature.findings([{"a": value}]) for value in good] == [()] * len(good)
    assert all(signature.findings([{"a": value}]) for value in bad)


def test_the_longest_numbers_of_a_dtype_are_within_the_years_of_a_text() -> None:
    for unit in ("s", "ms", "us", "ns"):
        moments = moments_of("datetime", f"datetime64[{unit}]")
        assert [moments.ticks(moments.text(each)) for each in (moments.low, moments.high)] == [
            moments.low,
            moments.high,
        ]
