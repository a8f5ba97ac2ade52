"""Parts of an estimator that no fit changes: they are found wherever they are, and a training names them."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import queuecast
from queuecast.domain.job import State
from queuecast.domain.work import Method
from tests.worker.model_fixtures import LocalService, with_target
from worker.trainings.challengers.frozen_parts import frozen_parts

X = np.random.default_rng(0).normal(size=(400, 3))
Y = (X[:, 0] + 0.5 * np.random.default_rng(1).normal(size=400) > 0).astype(int)
SPLIT = queuecast.holdout(X)
SCALER = FrozenEstimator(StandardScaler().fit(X * 7))
MODEL = FrozenEstimator(LogisticRegression().fit(X, Y))


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), ()),
        (MODEL, ("",)),
        (make_pipeline(SCALER, LogisticRegression()), ("frozenestimator",)),
        (make_pipeline(StandardScaler(), MODEL), ("frozenestimator",)),
        (CalibratedClassifierCV(MODEL), ("estimator",)),
        (VotingClassifier([("a", GaussianNB()), ("b", MODEL)]), ("b",)),
        (
            make_pipeline(ColumnTransformer([("some", SCALER, [0, 1, 2])]), GaussianNB()),
            ("columntransformer__some",),
        ),
        (
            make_pipeline(FeatureUnion([("one", SCALER), ("two", MinMaxScaler())]), CalibratedClassifierCV(MODEL)),
            ("featureunion__one", "calibratedclassifiercv__estimator"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_frozen_parts_have_the_names_of_their_parameters(estimator: Any, expected: tuple[str, ...]) -> None:
    assert set(frozen_parts(estimator)) == set(expected)


def _pushed(service: LocalService, estimator: Any) -> LocalService:
    fitted = clone(estimator).fit(X[SPLIT.train], Y[SPLIT.train])
    service.result(service.pushed(fitted, X[SPLIT.train], holdout=SPLIT.rule))
    return service


def test_the_result_names_the_part_that_was_not_refitted(service: LocalService) -> None:
    _pushed(service, make_pipeline(SCALER, KMeans(3, random_state=0)))

    result = service.result(service.trained(service.training_work(with_target(X + 5, Y))))

    (found,) = [finding for finding in result["findings"] if finding["code"] == "frozen_parts"]
    assert (found["severity"], found["detail"]) == (
        "info",
        "the part frozenestimator is frozen, and kept the state that the champion has",
    )
    lineage = service.manifest(2).lineage
    assert lineage is not None
    assert lineage.findings == result["findings_total"]


def test_an_estimator_without_frozen_parts_has_no_such_finding(service: LocalService) -> None:
    _pushed(service, make_pipeline(StandardScaler(), KMeans(3, random_state=0)))

    result = service.result(service.trained(service.training_work(with_target(X, Y))))

    assert "frozen_parts" not in [finding["code"] for finding in result["findings"]]


def test_a_parameter_of_a_frozen_part_is_refused_and_the_champion_is_as_it_was(service: LocalService) -> None:
    _pushed(service, make_pipeline(SCALER, KMeans(3, random_state=0)))
    before = service.answers(X[:5], Method.PREDICT)

    job = service.trained(
        service.training_work(with_target(X, Y), params={"frozenestimator__estimator": "passthrough"})
    )

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "invalid_input"
    assert "is frozen" in job.failure.detail
    assert service.answers(X[:5], Method.PREDICT) == before


def test_a_parameter_that_replaces_a_frozen_part_unfreezes_it(service: LocalService) -> None:
    _pushed(service, make_pipeline(SCALER, KMeans(3, random_state=0)))

    result = service.result(
        service.trained(service.training_work(with_target(X, Y), params={"frozenestimator": "passthrough"}))
    )

    assert "frozen_parts" not in [finding["code"] for finding in result["findings"]]
