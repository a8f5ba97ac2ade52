"""Percentiles, and ratios of rounds."""

import math

import pytest

from bench.spread import Spread, median, percentile, ratios


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (0.991, 100.0), (1.0, 100.0)]
)
def test_a_percentile_is_the_nearest_rank(share: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]

    assert percentile(values, share) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 0.5))


def test_the_median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5


def test_a_ratio_is_taken_round_by_round() -> None:
    slow_and_fast_rounds = ratios([10.0, 40.0, 100.0], [1.0, 2.0, 10.0])

    assert slow_and_fast_rounds == [10.0, 20.0, 10.0]
    assert Spread.of(slow_and_fast_rounds) == Spread(10.0, 10.0, 20.0)


def test_different_numbers_of_rounds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_a_round_without_a_value_is_left_out_of_the_spread() -> None:
    assert Spread.of([3.0, math.nan, 1.0]) == Spread(2.0, 1.0, 3.0)
    assert math.isnan(Spread.of([math.nan]).median)
