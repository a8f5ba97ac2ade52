"""The result of a run as text, and as a section of a documents page."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.differential.kinds import KINDS
from tests.differential.tally import Tally

BEGIN, END = "<!-- written by make differential from here -->", "<!-- to here -->"
MAX_SHOWN = 10  # of differences

COLUMNS: Mapping[str, str] = {
    "JSON": "JSON",
    "CSV": "CSV",
    "NDJSON": "NDJSON",
    "Parquet": "Parquet",
    "upload": "DataFrame",
    "retrain": "retrained",
}
"""The start of a way's name -> the column of the table that counts it."""


@dataclass(frozen=True)
class Conditions:
    date: str
    seed: int
    rows: int
    minutes: float
    versions: str


def column_of(way: str) -> str:
    return COLUMNS[way.replace(",", " ").replace(":", " ").split()[0]]


def table(tally: Tally) -> list[str]:
    """A line for each dtype: compared cells by format, differences, and pushes that were refused."""
    heads = list(COLUMNS.values())
    lines = [
        f"| dtype | {' | '.join(heads)} | differences | pushes refused |",
        f"|---|{'---|' * len(heads)}---|---|",
    ]
    for kind in KINDS:
        cells = Counter[str]()
        for way, n in tally.of_kind(tally.compared, kind.name).items():
            cells[column_of(way)] += n
        differing = sum(tally.of_kind(tally.differing, kind.name).values())
        refused = sum(tally.of_kind(tally.refused_pushes, kind.name).values())
        counted = " | ".join(f"{cells[head]:,}" if cells[head] else "" for head in heads)
        pushes = f"{refused} of {refused + tally.pushed[kind.name]}" if refused else ""
        lines.append(f"| {kind.name} | {counted} | {differing} | {pushes} |")
    return lines


def reasons(counts: Counter[tuple[str, str]], most: int = 60) -> list[str]:
    """A line for each reason, with the dtypes that it met."""
    by_reason: dict[str, Counter[str]] = {}
    for (kind, why), n in counts.items():
        by_reason.setdefault(why, Counter())[kind] += n
    ordered = sorted(by_reason.items(), key=lambda item: -item[1].total())
    lines = ["| reason | times | dtypes |", "|---|---|---|"]
    for why, kinds in ordered[:most]:
        text = why.replace("|", "\\|")
        lines.append(f"| {text} | {kinds.total():,} | {', '.join(sorted(kinds))} |")
    return lines


def summary(tally: Tally) -> str:
    return (
        f"{tally.trials:,} trials with {tally.rows:,} rows, {tally.answers:,} answers compared, "
        f"{tally.compared.total():,} cells, {len(tally.differences)} differences"
    )


def text(tally: Tally) -> str:
    parts = [*table(tally), "", "Refused pushes:", *reasons(tally.refused_pushes)]
    if tally.refused_rows:
        parts += [
            "",
            "Refused rows, with a cell that the fit did not have or in a dtype that is not served:",
            *reasons(tally.refused_rows),
        ]
    if tally.not_written:
        parts += ["", "Frames that the writer of a format does not take:", *reasons(tally.not_written)]
    parts += ["", *map(str, tally.differences[:MAX_SHOWN])]
    if len(tally.differences) > MAX_SHOWN:
        parts.append(f"and {len(tally.differences) - MAX_SHOWN} more")
    return "\n".join([*parts, summary(tally)])


def section(tally: Tally, conditions: Conditions) -> str:
    """Markdown for the page."""
    return "\n".join(
        [
            f"Run on {conditions.date} with `make differential ROWS={conditions.rows} SEED={conditions.seed}`, in "
            f"{conditions.minutes:.0f} minutes, with {conditions.versions}: **{summary(tally)}**.",
            "",
            *table(tally),
            "",
            "Pushes that were refused, with the reason (`…` stands for names and numbers):",
            "",
            *reasons(tally.refused_pushes),
            "",
            "Rows that were refused, with a cell that the fit did not have or in a dtype that is not served:",
            "",
            *reasons(tally.refused_rows),
        ]
    )


def write(page: Path, content: str) -> None:
    """Replaces the part of the page between its marks. Raises ValueError for a page without marks."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the result: {BEGIN!r} ... {END!r}")
    page.write_text(f"{before}{BEGIN}\n\n{content}\n\n{END}{after}")
