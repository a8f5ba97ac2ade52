"""The verdict on a challenger, and whether it is promoted."""

from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.gate.criteria import Criterion, Outcome, criteria
from queuecast.domain.gate.evidence import Evidence
from queuecast.domain.gate.gate_settings import GateSettings, PromotionPolicy


class Verdict(StrEnum):
    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCOMPARABLE = "incomparable"


@dataclass(frozen=True, slots=True)
class Decision:
    """reason: one sentence. The first criterion that failed gives it, or the score that decided."""

    verdict: Verdict
    reason: str
    criteria: tuple[Criterion, ...]


def decide(settings: GateSettings, evidence: Evidence) -> Decision:
    """Where a criterion says that the versions cannot be compared, no other can say which is better."""
    found = criteria(settings, evidence)
    for outcome, verdict in ((Outcome.INCOMPARABLE, Verdict.INCOMPARABLE), (Outcome.WORSE, Verdict.WORSE)):
        failed = [each.detail for each in found if each.outcome is outcome]
        if failed:
            return Decision(verdict, failed[0], found)
    deciding = evidence.held_out.deciding
    difference = None if deciding is None else deciding.difference
    if difference is None:
        return Decision(Verdict.INCOMPARABLE, "no metric scores both versions", found)
    reason = next(each.detail for each in found if each.name == "held_out")
    return Decision(Verdict.BETTER if difference.lowest > 0 else Verdict.NOT_WORSE, reason, found)


def is_promoted(verdict: Verdict, policy: PromotionPolicy) -> bool:
    """Only a challenger that is not worse is promoted without a person, and only if the job asked for it."""
    return policy is PromotionPolicy.AUTO and verdict in (Verdict.BETTER, Verdict.NOT_WORSE)
