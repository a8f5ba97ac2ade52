"""The table of a simulation, for a terminal and for the documentation."""

from collections import Counter
from collections.abc import Iterable
from statistics import mean

from bench.gate.retrainings import SCENARIOS, Outcome
from bench.processes import ROOT

PAGE = "docs/10-gate.md"
_BEGIN, _END = "<!-- simulation: begin -->", "<!-- simulation: end -->"


def table(outcomes: list[Outcome]) -> str:
    lines = [
        "| data | retraining | trainings | true gain in AUC | promoted | wrong promotions | most often refused by |",
        "|---|---|---|---|---|---|---|",
    ]
    for world in dict.fromkeys(each.world for each in outcomes):
        for scenario in SCENARIOS:
            found = [each for each in outcomes if (each.world, each.scenario) == (world, scenario)]
            if found:
                lines.append(_row(world, scenario, found))
    lines.append(_row("all", "all", outcomes))
    return "\n".join(lines)


def write(outcomes: list[Outcome], seed: int) -> None:
    path = ROOT / PAGE
    text = path.read_text()
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    intro = (
        f"`make simulation` (seed {seed}): {len(outcomes):,} retrainings. The number behind a name is that of the "
        "held-out rows."
    )
    path.write_text(f"{before}{_BEGIN}\n{intro}\n\n{table(outcomes)}\n{_END}{after}")


def _row(world: str, scenario: str, found: list[Outcome]) -> str:
    promoted, wrong = (_percent(getattr(each, name) for each in found) for name in ("is_promoted", "is_wrong"))
    gain = "" if world == "all" else f"{mean(each.area_gain for each in found):+.3f}"
    reasons = Counter(each.failed[0] for each in found if each.failed)
    first = f"{reasons.most_common(1)[0][0]}" if reasons else ""
    return f"| {world} | {scenario} | {len(found)} | {gain} | {promoted} | {wrong} | {first} |"


def _percent(flags: Iterable[bool]) -> str:
    return f"{100 * mean(map(float, flags)):.1f} %"
