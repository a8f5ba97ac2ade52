"""The verdict of a training as one sentence for people."""

from queuecast.domain.gate import Verdict
from queuecast.domain.reports.training_report import TrainingReport

_COMPARED = {
    Verdict.BETTER: "is better than",
    Verdict.NOT_WORSE: "is not worse than",
    Verdict.WORSE: "is not shown to be as good as",
    Verdict.INCOMPARABLE: "cannot be compared with",
}


def headline(report: TrainingReport) -> str:
    """For example: "Version 3 is better than version 2 and became champion."."""
    verdict = report.evaluation.decision.verdict
    compared = "is worse than" if _has_lost(report) else _COMPARED[verdict]
    words = f"Version {report.challenger} {compared} version {report.champion}"
    if report.promoted:
        return f"{words} and became champion."
    if verdict in (Verdict.WORSE, Verdict.INCOMPARABLE):
        return f"{words}, so it did not become champion."
    return f"{words}, but it did not become champion."


def _has_lost(report: TrainingReport) -> bool:
    """Whether the loss is certain. The verdict `worse` is also that of a loss that is not ruled out."""
    deciding = report.evaluation.evidence.held_out.deciding
    is_worse = report.evaluation.decision.verdict is Verdict.WORSE
    return is_worse and deciding is not None and deciding.difference is not None and deciding.difference.highest < 0
