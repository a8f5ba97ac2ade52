"""Drift against a reference agrees with scipy and with the formula of the stability index, on known data."""

from collections.abc import Sequence
from math import log

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, false_discovery_control, ks_2samp

from queuecast.domain.trainings.reference import population_stability_index
from worker.data_checks.drift import Drift, are_significant, drift_of
from worker.data_checks.feature_columns import values_of
from worker.data_checks.references import learn_distribution

RANDOM = np.random.default_rng(0)


def test_the_stability_index_is_that_of_its_formula() -> None:
    expected = (0.5 - 0.6) * log(0.5 / 0.6) + (0.5 - 0.4) * log(0.5 / 0.4)

    assert population_stability_index([0.6, 0.4], [0.5, 0.5]) == pytest.approx(expected)
    assert population_stability_index([0.6, 0.4], [0.6, 0.4]) == 0
    assert population_stability_index([1.0, 0.0], [0.0, 1.0]) == pytest.approx(2 * 0.9999 * log(1e4))


@pytest.mark.parametrize("shift", [0, 1, 3])
def test_the_distance_and_p_value_of_few_different_numbers_are_those_of_scipy(shift: int) -> None:
    """With at most as many different numbers as bins, the edges are all of them."""
    before = RANDOM.integers(0, 10, 700).astype(float)
    found = RANDOM.integers(0, 10, 400).astype(float) + shift

    drift = drift_of(learn_distribution(values_of(before)), len(before), values_of(found))

    expected = ks_2samp(before, found, method="asymp")
    assert drift is not None
    assert drift.effect == pytest.approx(expected.statistic, abs=1e-5)
    assert drift.p_value == pytest.approx(expected.pvalue, rel=1e-3)


def test_the_distance_of_many_numbers_is_that_of_scipy_less_one_bin_at_most() -> None:
    before, found = RANDOM.normal(size=5000), RANDOM.normal(0.4, 1.3, size=3000)

    drift = drift_of(learn_distribution(values_of(before)), len(before), values_of(found))

    expected = ks_2samp(before, found).statistic
    assert drift is not None
    assert expected - 0.05 <= drift.effect <= expected + 1e-5


@pytest.mark.parametrize("weights", [(0.5, 0.3, 0.2), (0.2, 0.3, 0.5)])
def test_the_test_of_texts_is_the_chi_squared_test_of_scipy(weights: Sequence[float]) -> None:
    before = RANDOM.choice(["a", "b", "c"], 800, p=(0.5, 0.3, 0.2))
    found = RANDOM.choice(["a", "b", "c"], 500, p=weights)

    drift = drift_of(learn_distribution(values_of(before)), len(before), values_of(found))

    table = [[np.sum(column == value) for value in "abc"] for column in (before, found)]
    statistic, p_value, _, _ = chi2_contingency(table, correction=False)
    assert drift is not None
    assert drift.p_value == pytest.approx(p_value, rel=1e-2)
    assert drift.effect == pytest.approx(np.sqrt(statistic / 1300), abs=1e-4)


def test_many_columns_are_corrected_as_scipy_does() -> None:
    p_values = [0.001, 0.004, 0.009, 0.02, 0.5]
    drifts = [Drift(0.3, 0.3, p_value, are_numbers=True) for p_value in p_values]

    assert are_significant(drifts) == [bool(each < 0.01) for each in false_discovery_control(p_values)]
    assert are_significant(drifts) == [True, False, False, False, False]
    assert are_significant([]) == []


def test_equal_rows_have_no_drift_and_no_column_of_noise_is_significant() -> None:
    drifts = []
    for _ in range(100):
        before = learn_distribution(values_of(RANDOM.normal(size=300)))
        drift = drift_of(before, 300, values_of(RANDOM.normal(size=300)))
        assert drift is not None
        drifts.append(drift)

    assert sum(are_significant(drifts)) <= 1


@pytest.mark.parametrize(
    ("before", "found"),
    [
        ([1.0, 2.0], ["a", "b"]),
        ([np.nan, np.nan], [1.0, 2.0]),
        ([1.0, 2.0], [np.nan]),
    ],
    ids=["other kind", "nothing before", "nothing now"],
)
def test_columns_that_cannot_be_compared_have_no_drift(before: list[object], found: list[object]) -> None:
    assert drift_of(learn_distribution(values_of(pd.Series(before))), 2, values_of(pd.Series(found))) is None
