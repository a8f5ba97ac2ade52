"""The result of an evaluation as one sentence for people."""

from collections.abc import Sequence

from queuecast.domain.findings.bounds import list_names
from queuecast.domain.gate import Score
from queuecast.plurals import counted
from worker.evaluations.version_scores import ScoredVersion


def headline(versions: Sequence[ScoredVersion]) -> str:
    """For example: "By neg_log_loss on 262 rows, version 3 is better than version 2."."""
    first, *others = versions
    by = f"By {first.scores[0].metric} on {counted(first.rows.n_rows, 'row')}"
    name = first.answered.version
    groups: dict[str, list[str]] = {
        "better than": [],
        "worse than": [],
        "neither certainly better nor worse than": [],
        "not compared with": [],
    }
    for each in others:
        groups[_compared(each.scores[0].difference)].append(str(each.answered.version))
    parts = [
        f"{_named(group)} {'is' if len(group) == 1 else 'are'} {words} version {name}"
        for words, group in groups.items()
        if group
    ]
    if not parts:
        score = first.scores[0].score
        return f"{by}, version {name} has {'no score' if score is None else f'the score {score.value:.4g}'}."
    return f"{by}, {', '.join(parts)}."


def _compared(difference: Score | None) -> str:
    if difference is None:
        return "not compared with"
    if difference.lowest > 0:
        return "better than"
    return "worse than" if difference.highest < 0 else "neither certainly better nor worse than"


def _named(versions: Sequence[str]) -> str:
    return f"version{'' if len(versions) == 1 else 's'} {list_names(versions)}"
