"""Counts compared cells, differences and refusals."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 110
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d.,e+-]*")


@dataclass(frozen=True)
class Difference:
    """An answer of the product that is not the notebook's. row: the cells, or the position where there is no row."""

    seed: int
    trial: int
    way: str
    method: str
    kinds: dict[str, str]
    row: Any
    expected: Any
    found: Any
    estimator: str
    fit_rows: int

    def __str__(self) -> str:
        columns = ", ".join(f"{name!r} ({kind})" for name, kind in self.kinds.items())
        return (
            f"trial {self.trial} of seed {self.seed}: {self.method} by {self.way}\n"
            f"  columns   {columns}\n  row       {self.row!r}\n  expected  {self.expected!r}\n"
            f"  found     {self.found!r}\n  estimator {self.estimator}, fitted on {self.fit_rows} rows"
        )


@dataclass
class Tally:
    """compared: cells of the frame whose row was answered, by dtype and way. refused: pushes and rows, by dtype and
    reason. not_written: frames that the writer of a format does not take."""

    trials: int = 0
    rows: int = 0
    answers: int = 0
    compared: Counter[tuple[str, str]] = field(default_factory=Counter)
    differing: Counter[tuple[str, str]] = field(default_factory=Counter)
    pushed: Counter[str] = field(default_factory=Counter)
    refused_pushes: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused_rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    not_written: Counter[tuple[str, str]] = field(default_factory=Counter)
    estimators: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add_compared(self, kinds: Iterable[str], way: str, n_rows: int) -> None:
        self.answers += n_rows
        for kind in kinds:
            self.compared[kind, way] += n_rows

    def add_difference(self, difference: Difference) -> None:
        self.differences.append(difference)
        for kind in set(difference.kinds.values()):
            self.differing[kind, difference.way] += 1

    def of_kind(self, counts: Counter[tuple[str, str]], kind: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for (name, other), n in counts.items():
            if name == kind:
                found[other] += n
        return found


def reason(code: str, detail: str) -> str:
    """A refusal without the names and numbers of its case, so that equal ones can be counted."""
    text = _QUOTED.sub("…", " ".join(detail.split()))
    return f"{code}: {text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + '...'}"
