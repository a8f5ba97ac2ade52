"""Residuals of a regressor: their summary, and histograms that can be compared."""

import numpy as np
import pytest

from worker.reports.residuals import residuals


def test_a_summary_of_the_errors() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(size=5000)
    predictions = target + rng.normal(0.5, 2.0, size=5000)

    found = residuals(target, {"challenger": predictions})["challenger"]

    errors = target - predictions
    assert (found.mean, found.deviation) == pytest.approx((errors.mean(), errors.std()))
    assert found.quantiles == pytest.approx(np.quantile(errors, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]), rel=1e-5)
    assert sum(found.counts) == 5000
    assert len(found.edges) == len(found.counts) + 1 == 26
    assert len(found.differences) == len(found.predictions) == 200


def test_shown_rows_are_predictions_with_their_own_residuals() -> None:
    target = np.arange(50.0)

    found = residuals(target, {"champion": target * 2})["champion"]

    assert found.differences == pytest.approx([-each / 2 for each in found.predictions])


def test_both_histograms_have_the_same_edges() -> None:
    target = np.random.default_rng(0).normal(size=300)

    found = residuals(target, {"champion": np.zeros(300), "challenger": target * 0.9})

    assert found["champion"].edges == found["challenger"].edges
    assert found["champion"].counts != found["challenger"].counts


def test_rows_that_are_not_finite_are_left_out() -> None:
    found = residuals(np.array([1.0, 2.0, 3.0]), {"challenger": np.array([1.0, np.nan, 2.0])})

    assert sum(found["challenger"].counts) == 2
    assert found["challenger"].mean == 0.5


def test_exact_answers_have_a_histogram() -> None:
    found = residuals(np.ones(10), {"challenger": np.ones(10)})["challenger"]

    assert sum(found.counts) == 10
    assert found.edges[0] < 0 < found.edges[-1]


def test_without_finite_rows_there_are_none() -> None:
    assert residuals(np.array([1.0]), {"challenger": np.array([np.inf])}) == {}
