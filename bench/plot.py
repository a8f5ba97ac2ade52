"""Draws how far each figure is above its goal, on a logarithmic axis, as plain SVG."""

import math
from typing import Any

from bench.goals import GOALS, Goal
from bench.report import number
from bench.spread import Spread

LEFT, WIDTH, ROW, TOP, BOTTOM, RIGHT = 330, 430, 30, 56, 34, 140
LOWEST, HIGHEST = 0.05, 20.0
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 } .small { font-size: 11px; fill: #777 }
.axis { stroke: #ccc } .must { stroke: #b30; stroke-width: 2 } .aim { fill: none; stroke: #06c; stroke-width: 2 }
.spread { stroke: #888; stroke-width: 4; stroke-linecap: round } .found { fill: #111 } .missed { fill: #b30 }
@media (prefers-color-scheme: dark) {
  text { fill: #ddd } .small { fill: #999 } .axis { stroke: #444 } .found { fill: #fff } .aim { stroke: #6af }
  .must { stroke: #f85 } .missed { fill: #f85 }
}
"""


def plot(results: dict[str, Any]) -> str:
    """One row per goal that must be reached. A mark beyond the axis is drawn at its end."""
    rows = []
    for goal in GOALS:
        found = Spread.of(goal.values(results["samples"]))
        if goal.must is not None and not math.isnan(found.median):
            rows.append((goal, goal.must, found))
    height = TOP + ROW * len(rows) + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" role="img" '
        'aria-label="Each figure of the benchmark compared with its goal">',
        f"<style>{STYLE}</style>",
        '<text x="10" y="22">Times better than the goal (line); ring: the aim; bar: least to most</text>',
    ]
    bottom = TOP + ROW * len(rows)
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        kind = "must" if tick == 1 else "axis"
        parts.append(f'<line class="{kind}" x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{TOP - 12}" y2="{bottom}"/>')
        parts.append(f'<text class="small" text-anchor="middle" x="{_x(tick):.1f}" y="{bottom + 16}">{tick:g}</text>')
    for index, (goal, must, found) in enumerate(rows):
        parts += _row(goal, must, found, TOP + ROW * index + ROW // 3)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(goal: Goal, must: float, found: Spread, y: int) -> list[str]:
    low, middle, high = (_better(goal, must, each) for each in (found.low, found.median, found.high))
    kind = "found" if goal.is_reached(found, must) else "missed"
    measured = f"{number(found.median)} {goal.unit}"
    return [
        f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{goal.name}</text>',
        f'<line class="spread" x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y}" y2="{y}"/>',
        f'<circle class="aim" cx="{_x(_better(goal, must, goal.aim)):.1f}" cy="{y}" r="6"/>',
        f'<circle class="{kind}" cx="{_x(middle):.1f}" cy="{y}" r="5"/>',
        f'<text class="small" x="{LEFT + WIDTH + 8}" y="{y + 4}">{measured}</text>',
    ]


def _better(goal: Goal, must: float, value: float) -> float:
    if goal.is_ceiling:
        return must / value if value else HIGHEST
    return value / must


def _x(times: float) -> float:
    within = min(max(times, LOWEST), HIGHEST)
    return LEFT + WIDTH * math.log(within / LOWEST) / math.log(HIGHEST / LOWEST)
