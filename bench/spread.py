"""Numbers from repeated rounds: percentiles within one, and the ratio of two servers over all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest value that at least `share` (0 to 1) of all are not above. NaN for no values."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, slots=True)
class Spread:
    """One number per round, as median and bounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return cls(math.nan, math.nan, math.nan)
        return cls(median(known), min(known), max(known))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Ratios per round, so that a slow moment of the machine slows both sides. NaN where a round has no denominator."""
    return [a / b if b else math.nan for a, b in zip(numerators, denominators, strict=True)]
