"""The numbers of a run as tables of text."""

import math
from typing import Any

from bench.goals import GOALS, Goal, verdict
from bench.spread import Spread


def number(value: float) -> str:
    """Three significant figures, and no more digits than are worth reading."""
    if math.isnan(value):
        return "-"
    if value >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 4)}f}"


def told(found: Spread) -> str:
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def table(results: dict[str, Any]) -> str:
    """Each goal with what was measured: the median of its rounds and their bounds. None for what was not."""
    rows = ["| figure | must reach | aim | measured (least to most of the rounds) | |", "|---|---|---|---|---|"]
    for goal in GOALS:
        values = goal.values(results["samples"])
        if values:
            rows.append(_row(goal, Spread.of(values)))
    return "\n".join(rows) + "\n"


def _row(goal: Goal, found: Spread) -> str:
    sign = "at most " if goal.is_ceiling else ""
    must = "" if goal.must is None else f"{sign}{number(goal.must)} {goal.unit}"
    return f"| {goal.name} | {must} | {sign}{number(goal.aim)} {goal.unit} | {told(found)} | {verdict(goal, found)} |"
