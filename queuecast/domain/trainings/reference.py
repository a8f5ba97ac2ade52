"""How the values of a version's fit were distributed: kept with the version, and compared with later rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log

REFERENCE_FILE = "reference.json"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values of one column, or of a target.

    missing: the share of missing values; all other facts are about the other values.
    edges: of numbers, the upper bounds of bins that hold the same share of rows where the values allow it. The first
    bin is for lower numbers than the fit had, and one after the last edge is for higher ones.
    categories: of other values, the most frequent ones as texts.
    shares: of each bin; or of each category, and then of all other values together.
    mean, std: of numbers.
    """

    missing: float
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    mean: float | None = None
    std: float | None = None

    @property
    def are_numbers(self) -> bool:
        return bool(self.edges)


@dataclass(frozen=True, slots=True)
class Reference:
    """n_rows: that were fitted on, or of the example of a push. counted_rows: those that the shares come from.

    target: of each target; empty for a push without held-out rows, whose example has none.
    target_rows: those that the target's shares come from.
    duplicates: the share of rows that repeat an earlier one. conflicts: the share of rows whose features another row
    has with another label; both None for a push.
    """

    n_rows: int
    counted_rows: int
    columns: dict[str, Distribution] = field(default_factory=dict)
    target: tuple[Distribution, ...] = ()
    target_rows: int = 0
    duplicates: float | None = None
    conflicts: float | None = None


def population_stability_index(expected: Sequence[float], found: Sequence[float]) -> float:
    """The sum of (f - e) ln(f / e) over the shares (Siddiqi 2006, Credit Risk Scorecards, chapter 7).

    By convention, 0.1 is a moderate shift and 0.2 a large one. A share of 0 counts as 0.0001.
    """
    pairs = [(max(e, 1e-4), max(f, 1e-4)) for e, f in zip(expected, found, strict=True)]
    return sum((f - e) * log(f / e) for e, f in pairs)
