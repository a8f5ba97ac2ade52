"""Findings about the data of a training and about its fit. Unlike the findings of a refusal, the training goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from queuecast.domain.findings.bounds import MAX_FINDINGS


class Severity(StrEnum):
    """A fact worth knowing; a reason to look at the data; a fault after which scores of the file mean little."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class DataFinding:
    """detail: a sentence for people. A program reads the facts after it, where they are known."""

    code: str
    severity: Severity
    detail: str
    column: str | None = None
    found: str | None = None
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class DataFindings:
    """The most severe findings, and the number of all."""

    first: tuple[DataFinding, ...] = ()
    total: int = 0

    @property
    def errors(self) -> tuple[DataFinding, ...]:
        return tuple(each for each in self.first if each.severity is Severity.ERROR)


def most_severe(found: Iterable[DataFinding]) -> DataFindings:
    """The first findings of each severity, the most severe ones first."""
    order = list(reversed(Severity))
    findings = sorted(found, key=lambda each: order.index(each.severity))
    return DataFindings(tuple(findings[:MAX_FINDINGS]), len(findings))
