"""Retrainings of estimators that learn without a target."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from queuecast.domain.job import Job
from queuecast.domain.work import TrainingWork
from tests.worker.model_fixtures import LocalService
from worker.scoring.row_scores import LIKELIHOOD, NEARNESS

pytestmark = pytest.mark.filterwarnings("ignore")


def _blobs(seed: int, n_rows: int = 4000) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    centers = draw.integers(0, 3, n_rows)[:, None] * np.array([[4.0, -3.0, 2.0]])
    return pd.DataFrame(draw.normal(size=(n_rows, 3)) + centers, columns=["a", "b", "c"])


def _trained(service: LocalService, estimator: Any, rows: pd.DataFrame, params: dict[str, Any] | None = None) -> Job:
    """The training on new rows of a model that was fitted on other ones."""
    known = _blobs(0)
    split = queuecast.holdout(known)
    service.result(service.pushed(estimator.fit(known.iloc[split.train]), known.iloc[split.train], (), split.rule))
    stored = service.stored(rows.to_csv(index=False).encode())
    return service.trained(TrainingWork(stored.id, stored.sha256, (), params or {}))


@pytest.mark.parametrize(
    ("estimator", "metric"),
    [
        (KMeans(3, random_state=0), NEARNESS),
        (GaussianMixture(3, random_state=0), LIKELIHOOD),
        (PCA(2), LIKELIHOOD),
    ],
    ids=lambda each: type(each).__name__ if hasattr(each, "fit") else None,
)
def test_an_estimator_with_a_score_of_rows_is_compared_by_it(
    service: LocalService, estimator: Any, metric: str
) -> None:
    rows = _blobs(1)
    result = service.result(_trained(service, estimator, rows))

    held_out = rows.iloc[queuecast.holdout(rows).test]
    found = service.estimators.load(service.manifest(2))
    assert (result["metric"], result["verdict"], result["promoted"]) == (metric, "not_worse", True), result["reason"]
    n_rows = len(held_out) if metric == NEARNESS else 1  # KMeans scores by a sum, the others by a mean
    assert result["challenger"]["score"] == pytest.approx(found.score(held_out) / n_rows)


def test_a_worse_density_is_not_promoted(service: LocalService) -> None:
    job = _trained(service, GaussianMixture(3, random_state=0), _blobs(1), {"n_components": 1})

    assert (service.result(job)["verdict"], service.champion()) == ("worse", 1)


@pytest.mark.parametrize(
    ("estimator", "params", "reason"),
    [
        (IsolationForest(n_estimators=20, random_state=0), {}, "IsolationForest has no score of rows without a target"),
        (KMeans(3, random_state=0), {"n_clusters": 6}, "the challenger has 6 clusters and the champion 3"),
        (make_pipeline(StandardScaler(), KMeans(3, random_state=0)), {}, "StandardScaler learned from other rows"),
    ],
    ids=["outliers", "more clusters", "another unit"],
)
def test_versions_without_a_common_score_are_left_to_a_person(
    service: LocalService, estimator: Any, params: dict[str, Any], reason: str
) -> None:
    result = service.result(_trained(service, estimator, _blobs(1), params))

    assert (result["verdict"], service.champion()) == ("incomparable", 1)
    assert reason in result["reason"]
    assert "both versions answer alike for " in result["reason"]


def test_an_estimator_that_learns_from_a_target_says_so(service: LocalService) -> None:
    rows = _blobs(0, 300)
    service.result(service.pushed(LinearRegression().fit(rows, rows["a"]), rows, ()))
    stored = service.stored(rows.to_csv(index=False).encode())

    job = service.trained(TrainingWork(stored.id, stored.sha256, ()))

    assert job.failure is not None
    assert job.failure.findings[0].pointer == "/target"
    assert "LinearRegression learns from a target" in job.failure.detail
