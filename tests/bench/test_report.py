"""Goals, verdicts, and the page that shows them."""

import math
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.goals import GOALS, Goal, verdict
from bench.plot import plot
from bench.report import BEGIN, END, document, number, table
from bench.spread import Spread

FLOOR = Goal("jobs/s", "a", "b", 10, 20, "x tutorial")
CEILING = Goal("p99", "a", "b", 0.5, 0.1, "x tutorial", is_ceiling=True)


def results(**samples: list[float | None]) -> dict[str, Any]:
    return {
        "samples": {key.replace("__", "."): values for key, values in samples.items()},
        "machine": {"date": "2026-01-31", "cores": "2", "cpu": "C", "system": "S", "python": "3", "redis": "R 9"},
        "rounds": 5,
        "answers": {"queuecast": 1200},
        "wrong": {"queuecast": 3},
        "polling_s": {"closed": 0.1, "open": 0.01},
        "generator_us": [30.0],
        "foreign_shares": [0.01, 0.02],
        "remarks": ["a remark"],
    }


@pytest.mark.parametrize(
    ("goal", "found", "expected"),
    [
        (FLOOR, 9.99, "**not reached**"),
        (FLOOR, 10, "reached"),
        (FLOOR, 20, "aim reached"),
        (CEILING, 0.51, "**not reached**"),
        (CEILING, 0.5, "reached"),
        (CEILING, 0.1, "aim reached"),
        (FLOOR, math.nan, "**not reached**"),
        (CEILING, math.nan, "**not reached**"),
    ],
)
def test_a_goal_is_reached_at_its_bound(goal: Goal, found: float, expected: str) -> None:
    assert verdict(goal, Spread(found, found, found)) == expected


def test_a_goal_without_a_bound_only_reports_its_aim() -> None:
    goal = Goal("compared with another", "a", "b", None, 1.5, "x other")

    assert verdict(goal, Spread(1.0, 1.0, 1.0)) == "aim not reached"


def test_a_row_shows_the_median_and_the_bounds_of_the_ratios() -> None:
    rows = table(results(closed__queuecast__jobs_per_s=[300, 100, 440], closed__tutorial__jobs_per_s=[20, 10, 20]))

    assert rows.splitlines()[2:] == [
        "| closed loop, 32 clients: jobs/s | 10.0 x tutorial | 20.0 x tutorial | 15.0 (10.0 to 22.0) | reached |"
    ]


def test_the_last_round_of_an_interrupted_run_is_left_out() -> None:
    rows = table(results(closed__queuecast__jobs_per_s=[300.0], closed__tutorial__jobs_per_s=[20.0, 10.0]))

    assert "| 15.0 (15.0 to 15.0) |" in rows


def test_a_goal_against_a_server_that_did_not_run_has_no_row() -> None:
    rows = table(results(closed__queuecast__jobs_per_s=[300.0]))

    assert len(rows.splitlines()) == 2


def test_a_goal_without_a_measurement_is_reported_as_not_reached() -> None:
    rows = table(results(bulk__queuecast__rows_per_s=[None], **{"bulk__one process__rows_per_s": [1e6]}))

    assert rows.splitlines()[2].endswith("| - (- to -) | **not reached** |")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.00381, "0.0038"), (0.0501, "0.0501"), (0.167, "0.167"), (1.5, "1.50"), (20.04, "20.0"),
     (994508.2, "994,508"), (math.nan, "-")],
)  # fmt: skip
def test_a_number_has_a_readable_number_of_digits(value: float, expected: str) -> None:
    assert number(value) == expected


def test_only_the_text_between_the_marks_is_replaced() -> None:
    page = document(f"before\n{BEGIN}\nold\n{END}\nafter\n", results(memory__queuecast__gateway_mib=[60.0]))

    assert page.startswith(f"before\n{BEGIN}\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "old" not in page
    assert "Wrong answers: 3 of 1,200 of queuecast." in page
    assert "| gateway's memory (PSS) | at most 70.0 MiB | at most 50.0 MiB | 60.0 (60.0 to 60.0) | reached |" in page


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the numbers"):
        document("a page", results())


def test_the_plot_has_a_row_for_each_goal_with_a_bound() -> None:
    keys = {key for goal in GOALS for key in (goal.over, goal.under) if key}

    drawn = ElementTree.fromstring(plot(results(**{key: [2.0, 4.0] for key in keys})))

    spreads = [line for line in drawn.iter("{http://www.w3.org/2000/svg}line") if line.get("class") == "spread"]
    assert len(spreads) == sum(goal.must is not None for goal in GOALS)


def test_a_goal_without_a_measurement_is_not_drawn() -> None:
    assert (
        "spread"
        not in plot(results(bulk__queuecast__rows_per_s=[None], **{"bulk__one process__rows_per_s": [1e6]})).partition(
            "</style>"
        )[2]
    )
