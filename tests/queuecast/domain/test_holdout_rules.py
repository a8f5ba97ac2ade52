"""Every rule for holdouts keeps these: a row's side depends on the row, its columns and the fraction alone."""

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuecast.domain import holdout as splits
from queuecast.domain.holdout import METHODS
from tests.queuecast.domain.holdout_rows import passengers, sides

every_rule = pytest.mark.parametrize("method", sorted(METHODS))


@every_rule
def test_only_the_named_columns_decide(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    rows = passengers(500)
    changed = [row | {"sex": "unknown"} for row in rows]

    assert sides(holdout(rows, columns=["age", "fare"])) == sides(holdout(changed, columns=["age", "fare"]))


@every_rule
def test_a_value_that_moves_to_another_column_makes_another_row(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    rows = [{"a": number, "b": 1000} for number in range(64)] + [{"a": 1000, "b": number} for number in range(64)]

    test = set(holdout(rows, 0.5).test)

    assert [row in test for row in range(64)] != [64 + row in test for row in range(64)]


@every_rule
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.9])
def test_the_fraction_of_ten_thousand_rows_is_close_to_the_requested_one(method: str, fraction: float) -> None:
    holdout = partial(splits.holdout, method=method)
    split = holdout([{"a": number} for number in range(10_000)], fraction)

    # Four standard deviations of a binomial count.
    assert len(split.test) / 10_000 == pytest.approx(fraction, abs=4 * (fraction * (1 - fraction) / 10_000) ** 0.5)


@every_rule
def test_a_larger_fraction_holds_out_the_same_rows_and_more(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    rows = passengers(1000)

    assert set(holdout(rows, 0.1).test) < set(holdout(rows, 0.3).test)


@every_rule
def test_every_row_is_on_exactly_one_side_in_order(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    split = holdout(passengers(1000))

    assert sorted(split.train + split.test) == list(range(1000))
    assert (split.train, split.test) == (sorted(split.train), sorted(split.test))


@every_rule
@given(st.integers(0, 200), st.integers(1, 200), st.randoms(use_true_random=False))
def test_added_rows_never_move_earlier_rows(method: str, old: int, new: int, draw: random.Random) -> None:
    holdout = partial(splits.holdout, method=method)
    before = passengers(old)
    after = [*before, *passengers(new, seed=11)]
    order = list(range(len(after)))
    draw.shuffle(order)

    test_before = {repr(before[position]) for position in holdout(before).test}
    test_after = {repr(after[order[position]]) for position in holdout([after[index] for index in order]).test}

    assert test_before == test_after & {repr(row) for row in before}


@every_rule
def test_all_columns_decide_when_none_is_named(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    assert holdout(passengers(1)).rule.columns == ("age", "sex", "fare")


@every_rule
def test_no_rows_make_an_empty_split(method: str) -> None:
    holdout = partial(splits.holdout, method=method)
    assert sides(holdout([])) == ([], [])


@every_rule
@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_outside_zero_to_one_is_refused(method: str, fraction: float) -> None:
    holdout = partial(splits.holdout, method=method)
    with pytest.raises(ValueError, match="expected a number between 0 and 1"):
        holdout(passengers(3), fraction)
