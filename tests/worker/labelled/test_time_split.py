"""Splits by time."""

import numpy as np
import pytest

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.holdout import TIME_METHOD, HoldoutRule
from worker.labelled.role_cells import Times
from worker.labelled.time_split import split_by_time

RULE = HoldoutRule(0.2, ("day",), TIME_METHOD)


@pytest.mark.parametrize(
    ("values", "test", "cutoff"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [8, 9], "9.0"),
        ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [0, 1], "9.0"),
        ([1, 2, 3, 4, 5, 6, 7, 9, 9, 9], [7, 8, 9], "9.0"),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 2], [9], "2.0"),
        ([1, 2], [1], "2.0"),
    ],
    ids=["in order", "in another order", "ties stay together", "ties of the oldest", "two rows"],
)
def test_the_newest_rows_are_held_out(values: list[int], test: list[int], cutoff: str) -> None:
    split = split_by_time(Times(np.array(values, dtype=float), are_moments=False), RULE)

    assert (split.test, split.rule.cutoff) == (test, cutoff)
    assert sorted([*split.train, *split.test]) == list(range(len(values)))


def test_rows_of_one_time_cannot_be_split() -> None:
    with pytest.raises(InvalidInputError, match="all rows have the same 'day'"):
        split_by_time(Times(np.ones(5), are_moments=False), RULE)
