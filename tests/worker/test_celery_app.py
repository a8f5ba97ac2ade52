"""The text that Flower shows as the result of a task."""

from worker.celery_app import summary_for_flower
from worker.engine.contracts import ModelCall


def test_flower_shows_each_call_with_its_jobs_and_rows() -> None:
    calls = [ModelCall(12, 300), ModelCall(1, 1)]

    assert summary_for_flower(calls) == "13 jobs, 301 rows in 2 calls (jobs/rows: 12/300, 1/1)"
    assert summary_for_flower([]) == "0 jobs, 0 rows in 0 calls"


def test_flower_shows_the_first_twenty_calls() -> None:
    summary = summary_for_flower([ModelCall(1, number) for number in range(1, 22)])

    assert summary.startswith("21 jobs, 231 rows in 21 calls (jobs/rows: 1/1, ")
    assert summary.endswith("1/20, ...)")
