"""Bounds a refusal: it names the first findings and the first names, shortened, and says how many there are.

So no error grows with the width of a table or with the length of its names.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice

from queuecast.domain.errors import Finding, InvalidInputError, short_name

MAX_FINDINGS = 20  # enough to repair a file, not enough to flood a log
SHOWN_NAMES = 20
MAX_COUNTED = 10_000  # the faults of a large body cost seconds to count, and the number says no more


@dataclass(frozen=True, slots=True)
class FirstFindings:
    """The first findings, and the number of all. The number is MAX_COUNTED where the count stopped there."""

    first: tuple[Finding, ...]
    total: int

    def refusal(self, before: str = "") -> InvalidInputError:
        """before: the beginning of its sentence."""
        finding = self.first[0]
        place = f"{finding.pointer}: " if finding.pointer else ""
        return InvalidInputError(
            f"{before}{place}{finding.detail}{and_more(self.total - 1)}", self.first, total=self.total
        )


def first_findings(found: Iterable[Finding], limit: int = MAX_FINDINGS) -> FirstFindings:
    """Reads `found` up to MAX_COUNTED findings."""
    findings = iter(found)
    first = tuple(islice(findings, limit))
    return FirstFindings(first, len(first) + sum(1 for _ in islice(findings, MAX_COUNTED - len(first))))


def and_more(count: int) -> str:
    """count: of the findings after the one that the sentence names."""
    if count < 1:
        return ""
    return f" (and at least {count} more)" if count == MAX_COUNTED - 1 else f" (and {count} more)"


def and_rest(count: int) -> str:
    """The end of a list. count: of the names that it leaves out."""
    return f" and {count} more" if count > 0 else ""


def list_names(names: Collection[str]) -> str:
    """The first names, and the number of all."""
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN_NAMES else ""
    return (", ".join(map(short_name, islice(names, SHOWN_NAMES))) or "none") + more
