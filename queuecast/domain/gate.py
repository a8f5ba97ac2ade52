"""Decides whether a challenger becomes champion. Higher scores are better; both are from the same held-out rows."""

from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.work import PromotionPolicy


class Verdict(StrEnum):
    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCOMPARABLE = "incomparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scores by one metric. If one is None, `reason` says why."""

    metric: str | None
    champion: float | None
    challenger: float | None
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.champion is None or self.challenger is None:
            return Verdict.INCOMPARABLE
        if self.challenger > self.champion:
            return Verdict.BETTER
        return Verdict.NOT_WORSE if self.challenger == self.champion else Verdict.WORSE


def is_promoted(verdict: Verdict, policy: PromotionPolicy) -> bool:
    """Only a score that is not worse promotes the challenger without a person, and only if the job asked for it."""
    return policy is PromotionPolicy.AUTO and verdict in (Verdict.BETTER, Verdict.NOT_WORSE)
