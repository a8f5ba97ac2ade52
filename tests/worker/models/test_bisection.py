"""An item fails only if the call fails on it alone, and few calls find it."""

import random
from collections.abc import Sequence

import pytest

from worker.models.bisection import Failed, Succeeded, bisect_failures


def tens(numbers: Sequence[int]) -> list[int]:
    """Fails like an estimator: one bad row fails the whole call."""
    if any(number < 0 for number in numbers):
        raise ValueError("negative")
    return [number * 10 for number in numbers]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8])
def test_only_the_bad_items_fail_wherever_they_are(count: int) -> None:
    for poisoned in range(2**count):
        items = [-index - 1 if poisoned >> index & 1 else index for index in range(count)]

        outcomes = list(bisect_failures(tens, items))

        assert [each.item for each in outcomes if isinstance(each, Failed)] == [item for item in items if item < 0]
        values = [value for each in outcomes if isinstance(each, Succeeded) for value in each.value]
        assert values == [item * 10 for item in items if item >= 0]


def test_outcomes_are_in_the_order_of_the_items() -> None:
    outcomes = bisect_failures(tens, [1, 2, -3, 4, -5])

    ordered = [item for each in outcomes for item in ([each.item] if isinstance(each, Failed) else each.items)]
    assert ordered == [1, 2, -3, 4, -5]


def test_one_bad_item_among_many_costs_few_calls() -> None:
    calls = 0

    def counted(numbers: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        return tens(numbers)

    items = [1] * 1024
    items[random.Random(7).randrange(1024)] = -1
    list(bisect_failures(counted, items))

    assert calls <= 2 * 10 + 1


def test_a_caller_that_stops_after_a_failure_makes_no_further_calls() -> None:
    called: list[Sequence[int]] = []

    def noted(numbers: Sequence[int]) -> list[int]:
        called.append(numbers)
        return tens(numbers)

    next(bisect_failures(noted, [-1, -2, -3, -4]))

    assert called == [[-1, -2, -3, -4], [-1, -2], [-1]]
