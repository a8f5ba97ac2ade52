"""Whether a challenger may become champion. Scores are "higher is better", on the same holdout rows."""

from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.work import Promote


class Verdict(StrEnum):
    BETTER = "better"
    NOT_WORSE = "not_worse"
    WORSE = "worse"
    INCOMPARABLE = "incomparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two scores by one metric; None where there is nothing to compare with, and `reason` says why."""

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


def is_promoted(verdict: Verdict, policy: Promote) -> bool:
    """Only a score that is not worse moves the champion without a person, and only if the job asked for it."""
    return policy is Promote.AUTO and verdict in (Verdict.BETTER, Verdict.NOT_WORSE)
