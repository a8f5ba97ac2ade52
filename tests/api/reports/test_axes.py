"""Scales: places within the drawing, and round ticks."""

import math

import pytest

from api.reports.axes import Scale, scale_around


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 1050.0, [0.0, 500.0, 1000.0]),
        (-0.037, 0.021, [-0.02, 0.0, 0.02]),
        (1e6, 1e6 + 4, [1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3, 1e6 + 4]),
    ],
)
def test_ticks_are_round_and_within_the_scale(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0, 100).ticks(5) == pytest.approx(expected)


def test_numbers_beyond_a_scale_have_the_nearest_place() -> None:
    scale = Scale(0.0, 10.0, 50, 150)

    assert [scale.place(value) for value in (-math.inf, -1.0, 0.0, 5.0, 10.0, 99.0, math.inf)] == [
        *(50, 50, 50, 100, 150, 150, 150)
    ]


def test_a_scale_that_grows_upwards() -> None:
    assert Scale(0.0, 1.0, 250, 50).place(0.25) == 200


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0], [], [math.inf, -math.inf], [math.nan, 2.0]])
def test_a_scale_around_few_values_has_a_width(values: list[float]) -> None:
    scale = scale_around(values, 0, 100)

    assert math.isfinite(scale.low)
    assert scale.low < scale.high
    assert len(scale.ticks(5)) >= 2
