"""Numbers of a report as text."""

import math

import pytest

from api.reports.number_texts import number_text, seconds_text, share_text, shortened_label, signed_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.81234567, "0.8123"),
        (12350.0, "12,350"),
        (12345.6, "12,346"),
        (-0.00001234, "-1.234e-05"),
        (3, "3"),
        (None, "-"),
        (math.nan, "-"),
        (-math.inf, "-"),
    ],
)
def test_a_number_has_four_digits(value: float | None, expected: str) -> None:
    assert number_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0050612, "+0.00506"), (-4567.8, "-4,568"), (0.0, "0"), (math.inf, "-"), (None, "-")]
)
def test_a_difference_has_a_sign(value: float | None, expected: str) -> None:
    assert signed_text(value) == expected


def test_shares_and_seconds_have_units() -> None:
    assert [share_text(0.0236), share_text(None)] == ["2.4 %", "-"]
    assert [seconds_text(value) for value in (12.34, 0.0123, 0.0000123)] == ["12.3 s", "12.3 ms", "12.3 µs"]


def test_a_long_label_keeps_its_ends() -> None:
    assert shortened_label("short", 12) == "short"
    assert shortened_label("customer_segment_north", 12) == "customer…rth"
