"""Compares the values of a file with a version's reference: by the population stability index, and by a test.

Numbers get a Kolmogorov-Smirnov test at the edges of the reference's bins, other values a chi-squared test. A column
has drifted if both say so: a large file makes any difference significant, and a small one makes any index large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control, kstwo

from queuecast.domain.trainings.reference import Distribution, population_stability_index
from worker.data_checks.feature_columns import Values
from worker.data_checks.references import shares_by


@dataclass(frozen=True, slots=True)
class Drift:
    """index: the population stability index. p_value: of the test.

    effect: the Kolmogorov-Smirnov distance of numbers; Cramer's V of other values. Both are from 0 to 1.
    """

    index: float
    effect: float
    p_value: float
    are_numbers: bool

    @property
    def text(self) -> str:
        effect = "Kolmogorov-Smirnov distance" if self.are_numbers else "Cramer's V"
        return f"stability index {self.index:.2f}, {effect} {self.effect:.2f}, p = {self.p_value:.1g}"


def drift_of(reference: Distribution, n_reference: int, values: Values) -> Drift | None:
    """n_reference: the rows that the reference comes from. None if there is nothing to compare."""
    n_before = round(n_reference * (1 - reference.missing))
    n_found = len(values.present)
    if not reference.shares or not n_before or not n_found or reference.are_numbers != values.are_numbers:
        return None
    found = shares_by(reference, values)
    index = population_stability_index(reference.shares, found)
    test = _kolmogorov_smirnov if reference.are_numbers else _chi_squared
    effect, p_value = test(reference.shares, n_before, found, n_found)
    return Drift(index, effect, p_value, reference.are_numbers)


def are_significant(drifts: Sequence[Drift]) -> list[bool]:
    """Which of many tests found a difference, with at most 1 % of false ones among them (Benjamini-Hochberg)."""
    if not drifts:
        return []
    adjusted = false_discovery_control([drift.p_value for drift in drifts])
    return [bool(p_value < 0.01) for p_value in adjusted]


def _kolmogorov_smirnov(before: Sequence[float], n_before: int, found: Sequence[float], n_found: int) -> Any:
    """The distance, and the p-value as `scipy.stats.ks_2samp(method="asymp")` has it.

    The distance is at the edges, so it is at most that of the values, and less by the share of one bin at most.
    """
    distance = float(np.abs(np.cumsum(before) - np.cumsum(found)).max())
    n_effective = max(round(n_before * n_found / (n_before + n_found)), 1)
    return distance, float(np.clip(kstwo.sf(distance, n_effective), 0, 1))


def _chi_squared(before: Sequence[float], n_before: int, found: Sequence[float], n_found: int) -> Any:
    counts = np.array([np.multiply(before, n_before), np.multiply(found, n_found)])
    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2:
        return 0.0, 1.0
    statistic, p_value, _, _ = chi2_contingency(counts, correction=False)
    return float(np.sqrt(statistic / counts.sum())), float(p_value)
