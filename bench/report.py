"""Writes the numbers of a run as Markdown into docs/performance.md."""

import math
from pathlib import Path
from typing import Any

from bench.goals import GOALS, Goal, Samples, numbers, verdict
from bench.spread import Spread, median

BEGIN, END = "<!-- written by the benchmark from here -->", "<!-- to here -->"
FEWEST_ROUNDS = 5


def number(value: float) -> str:
    """Three significant figures, and no more digits than are worth reading."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 4)}f}"


def as_text(found: Spread) -> str:
    return f"{number(found.median)} ({number(found.low)} to {number(found.high)})"


def middle(samples: Samples, key: str) -> str:
    return number(median(numbers(samples, key)))


def table(results: dict[str, Any]) -> str:
    """Each goal with the median of its rounds and their bounds, without goals that were not measured."""
    rows = ["| figure | must reach | aim | measured: median (least to most) | |", "|---|---|---|---|---|"]
    for goal in GOALS:
        values = goal.values(results["samples"])
        if values:
            rows.append(_goal_row(goal, Spread.of(values)))
    return "\n".join(rows) + "\n"


def _goal_row(goal: Goal, found: Spread) -> str:
    sign = "at most " if goal.is_ceiling else ""
    must = "" if goal.must is None else f"{sign}{number(goal.must)} {goal.unit}"
    return (
        f"| {goal.name} | {must} | {sign}{number(goal.aim)} {goal.unit} | {as_text(found)} | {verdict(goal, found)} |"
    )


def document(text: str, results: dict[str, Any]) -> str:
    """The page with the part between its marks replaced. Raises ValueError for a page without marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the numbers: {BEGIN!r} ... {END!r}")
    return f"{before}{BEGIN}\n\n{sections(results)}\n{END}{after}"


def write(page: Path, results: dict[str, Any]) -> None:
    page.write_text(document(page.read_text(), results))


def sections(results: dict[str, Any]) -> str:
    parts = [
        _conditions(results),
        "![Each figure compared with its goal](performance.svg)",
        table(results),
        _section("One-row jobs", _jobs(results["samples"])),
        _section("A row's cost as jobs get longer", _rows(results["samples"])),
        _section("Workers", _workers(results["samples"])),
        _section("Files of many rows", _bulk(results["samples"])),
        _section("Idle servers", _idle(results["samples"])),
        _section("The parts at their best", _limits(results["samples"])),
        "\n".join(f"- {remark}" for remark in results["remarks"]),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts if part)


def _conditions(results: dict[str, Any]) -> str:
    at = results["machine"]
    answers = ", ".join(
        f"{results['wrong'].get(name, 0)} of {count:,} of {name}" for name, count in results["answers"].items()
    )
    polling, foreign = results["polling_s"], results["foreign_shares"]
    return (
        f"Measured on {at['date']}: {at['cores']} cores ({at['cpu']}), {at['system']}, Python {at['python']}, "
        f"{at['redis']}; {results['rounds']} rounds. Wrong answers: {answers}. The tutorial's client polls every "
        f"{1000 * polling['closed']:.0f} ms, in the open loop every {1000 * polling['open']:.0f} ms: the best "
        f"intervals in this run. The load used {number(median(results['generator_us']))} µs of CPU a request, "
        "which no other number includes; other processes of the machine took "
        f"{median(foreign):.0%} of its cores at the median, {max(foreign):.0%} at most."
    )


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if len(lines) > 2 else ""


def _jobs(samples: Samples) -> list[str]:
    kinds = ("gateway", "worker", "worker children", "reaper", "redis", "server")
    lines = [
        "| figure | server | jobs/s | p50 ms | p99 ms | CPU ms a job | of it, µs |",
        "|---|---|---|---|---|---|---|",
    ]
    for figure in ("closed", "burst", "open"):
        for server in ("tutorial", "litserve", "queuecast"):
            key = f"{figure}.{server}"
            if f"{key}.jobs_per_s" not in samples:
                continue
            of_it = [f"{each} {middle(samples, f'{key}.cpu_us.{each}')}" for each in kinds]
            named = [text for text in of_it if not text.endswith(" -")]
            cells = [middle(samples, f"{key}.{each}") for each in ("jobs_per_s", "p50_ms", "p99_ms", "cpu_ms_per_job")]
            lines.append(f"| {figure} | {server} | {' | '.join(cells)} | {', '.join(named)} |")
    return lines


def _rows(samples: Samples) -> list[str]:
    lines = [
        "| rows a job | tutorial: CPU µs a row | queuecast: CPU µs a row | tutorial: rows/s | queuecast: rows/s |",
        "|---|---|---|---|---|",
    ]
    for key in samples:
        if key.startswith("rows.queuecast.") and key.endswith(".rows_per_s"):
            rows = key.split(".")[2]
            cells = [
                middle(samples, f"rows.{server}.{rows}.{metric}")
                for metric in ("cpu_us_per_row", "rows_per_s")
                for server in ("tutorial", "queuecast")
            ]
            lines.append(f"| {int(rows):,} | {' | '.join(cells)} |")
    return lines


def _workers(samples: Samples) -> list[str]:
    lines = ["| workers | burst: jobs/s | CPU ms a job |", "|---|---|---|"]
    for key in samples:
        if key.startswith("workers.queuecast.") and key.endswith(".jobs_per_s"):
            count = key.split(".")[2]
            cells = [middle(samples, f"workers.queuecast.{count}.{each}") for each in ("jobs_per_s", "cpu_ms_per_job")]
            lines.append(f"| {count} | {' | '.join(cells)} |")
    return lines


def _bulk(samples: Samples) -> list[str]:
    named = {
        "one process, rows in memory: rows/s": "bulk.one process.rows_per_s",
        "one process, with reading the CSV: rows/s": "bulk.one process.rows_per_s_with_reading",
        "queuecast, from submit to the last byte of the result: rows/s": "bulk.queuecast.rows_per_s",
        "queuecast, with the upload: rows/s": "bulk.queuecast.rows_per_s_with_upload",
        "queuecast: CPU µs a row, all processes": "bulk.queuecast.cpu_us_per_row",
        "20 one-row jobs/s, no batch: p99 ms": "during.none.p99_ms",
        "20 one-row jobs/s during a batch: p99 ms": "during.batch.p99_ms",
    }
    return _listed(samples, named)


def _idle(samples: Samples) -> list[str]:
    found = {key: key for key in sorted(samples) if key.startswith(("memory.", "idle."))}
    named = {}
    for key in found:
        what, server, process = key.split(".", 2)
        name, _, unit = process.rpartition("_")
        named[f"{server}: {name}, {what} {'MiB (PSS)' if unit == 'mib' else '% of a core'}"] = key
    return _listed(samples, named)


def _limits(samples: Samples) -> list[str]:
    named = {}
    for key in samples:
        if key.startswith("limits.predict."):
            rows = key.split(".")[2].removesuffix("_ms")
            named[f"predict_proba of {int(rows):,} rows in process, ms"] = key
            named[f"the DataFrame of {int(rows):,} rows from dicts, ms"] = key.replace("predict", "frame")
    named |= {
        "Redis from Python, one push at a time: pushes/s": "limits.redis.single_per_s",
        "Redis from Python, pipelined: pushes/s": "limits.redis.pipelined_per_s",
        "an empty Flask route under the gateway's server: requests/s": "limits.route_per_s",
        "the same: CPU µs a request": "limits.route_cpu_us",
    }
    return _listed(samples, named)


def _listed(samples: Samples, named: dict[str, str]) -> list[str]:
    lines = ["| | median (least to most) |", "|---|---|"]
    return lines + [
        f"| {name} | {as_text(Spread.of(numbers(samples, key)))} |" for name, key in named.items() if key in samples
    ]
