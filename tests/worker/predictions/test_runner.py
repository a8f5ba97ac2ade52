"""Jobs that share a call: each gets the output for its own rows, or fails because of them."""

import pytest

from worker.predictions.runner import Prediction, predict_jobs


def tens(rows: list[int]) -> list[int]:
    """Fails like an estimator: one bad row fails the whole call."""
    if any(row < 0 for row in rows):
        raise ValueError("negative")
    return [row * 10 for row in rows]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_only_the_jobs_with_bad_rows_fail_wherever_they_are(count: int) -> None:
    for poisoned in range(2**count):
        rows_of_jobs = [[-1 if poisoned >> index & 1 else index, 5] for index in range(count)]

        outcomes = predict_jobs(tens, rows_of_jobs)

        expected = [None if rows[0] < 0 else [rows[0] * 10, 50] for rows in rows_of_jobs]
        assert [each.output if isinstance(each, Prediction) else None for each in outcomes] == expected


def test_a_prediction_has_the_size_of_the_call_that_it_shared() -> None:
    outcomes = predict_jobs(tens, [[1], [2, 3], [-1], [4]])

    sizes = [(each.call_jobs, each.call_rows) for each in outcomes if isinstance(each, Prediction)]
    assert sizes == [(2, 3), (2, 3), (1, 1)]


def test_too_few_rows_from_an_estimator_are_an_error() -> None:
    (outcome,) = predict_jobs(lambda rows: rows[:-1], [[1, 2]])

    assert isinstance(outcome, ValueError)
    assert str(outcome) == "found 1 answers, expected 2"
