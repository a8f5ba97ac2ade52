"""An update: a copy of the champion goes on learning, or the training says why it cannot."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import IncrementalPCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import queuecast
from queuecast.domain.errors import InvalidInputError, RunFailedError
from queuecast.domain.job import State
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.work import Method, TrainingWork
from tests.worker.model_fixtures import LocalService, assert_same_answers, with_target
from worker.models.updating import can_update
from worker.trainings.challengers.updates import kept_steps, require_known_labels, updated

pytestmark = pytest.mark.filterwarnings("ignore")

N = 1000
X = np.random.default_rng(0).normal(size=(N, 3))
Y = (X[:, 0] + 0.5 * np.random.default_rng(1).normal(size=N) > 0).astype(int)
BOTH = np.column_stack([Y, 1 - Y])
SPLIT = queuecast.holdout(X)
NEW = SPLIT.train[:400]


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (GaussianNB(), True),
        (make_pipeline(StandardScaler(), SGDClassifier()), True),
        (make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), GaussianNB())), True),
        (MultiOutputClassifier(GaussianNB()), True),
        (MLPClassifier(), True),
        (MLPClassifier(solver="lbfgs"), False),
        (LogisticRegression(), False),
        (make_pipeline(StandardScaler(), "passthrough"), False),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (FrozenEstimator(GaussianNB().fit(X, Y)), False),
        (GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9, 1e-3]}), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_which_estimators_can_be_updated(estimator: Any, expected: bool) -> None:
    assert can_update(estimator) is expected


@pytest.mark.parametrize(
    ("estimator", "target"),
    [
        (GaussianNB(), Y),
        (SGDClassifier(random_state=0), np.where(Y, "yes", "no").astype(object)),
        (SGDRegressor(random_state=0), X[:, 0] * 2),
        (MLPClassifier(max_iter=20, random_state=0), Y),
        (MultiOutputClassifier(GaussianNB()), BOTH),
        (MiniBatchKMeans(3, random_state=0, n_init=1), Y),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_copy_learns_as_partial_fit_does_and_the_champion_stays(estimator: Any, target: Any) -> None:
    champion = clone(estimator).fit(X[:200], target[:200])
    before = champion.predict(X)
    expected = copy.deepcopy(champion).partial_fit(X[NEW], target[NEW])

    challenger = updated(champion, X[NEW], target[NEW])

    np.testing.assert_array_equal(challenger.predict(X), expected.predict(X))
    np.testing.assert_array_equal(champion.predict(X), before)


def test_weights_are_those_of_partial_fit() -> None:
    champion = GaussianNB().fit(X[:200], Y[:200])
    weights = np.linspace(0, 1, len(NEW))
    expected = copy.deepcopy(champion).partial_fit(X[NEW], Y[NEW], sample_weight=weights)

    found = updated(make_pipeline("passthrough", champion), X[NEW], Y[NEW], weights)

    np.testing.assert_array_equal(found[-1].theta_, expected.theta_)
    with pytest.raises(InvalidInputError, match="partial_fit of IncrementalPCA takes no sample weights"):
        updated(IncrementalPCA(2).fit(X), X[NEW], None, weights)


def test_an_estimator_without_a_target_learns_too() -> None:
    champion = IncrementalPCA(2).fit(X[:200])

    found = updated(champion, X[NEW], None)

    np.testing.assert_array_equal(found.components_, copy.deepcopy(champion).partial_fit(X[NEW]).components_)


def test_only_the_last_step_of_a_pipeline_learns() -> None:
    champion = make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), GaussianNB())).fit(X[:200], Y[:200])

    challenger = updated(champion, X[NEW] + 9, Y[NEW])

    scaler, (inner, naive) = champion.steps[0][1], [step for _, step in champion.steps[1][1].steps]
    expected = copy.deepcopy(naive).partial_fit(inner.transform(scaler.transform(X[NEW] + 9)), Y[NEW])
    np.testing.assert_array_equal(challenger[-1][-1].theta_, expected.theta_)
    np.testing.assert_array_equal(challenger[0].mean_, scaler.mean_)
    assert [finding.code for finding in kept_steps(challenger)] == ["kept_steps"]
    assert "the steps standardscaler, minmaxscaler are as" in next(kept_steps(challenger)).detail


def test_an_estimator_without_steps_keeps_none() -> None:
    assert list(kept_steps(GaussianNB())) == []
    assert list(kept_steps(make_pipeline("passthrough", GaussianNB()))) == []


@pytest.mark.parametrize(
    ("estimator", "known", "rows"),
    [
        (GaussianNB(), Y, np.full(N, 2)),
        (GaussianNB(), np.where(Y, "yes", "no"), np.full(N, "maybe", dtype=object)),
        (MultiOutputClassifier(GaussianNB()), BOTH, BOTH + np.array([0, 1])),
    ],
    ids=["numbers", "texts", "several targets"],
)
def test_new_labels_are_refused(estimator: Any, known: Any, rows: Any) -> None:
    champion = clone(estimator).fit(X, known)

    require_known_labels(champion, np.asarray(known))
    with pytest.raises(InvalidInputError, match="an update cannot add labels"):
        require_known_labels(champion, rows)


def test_an_error_of_partial_fit_fails_the_training() -> None:
    champion = MLPClassifier(max_iter=5, early_stopping=True, random_state=0).fit(X, Y)

    with pytest.raises(RunFailedError, match=r"partial_fit raised ValueError: .* does not support early_stopping"):
        updated(champion, X[NEW], Y[NEW])


def _service(service: LocalService, estimator: Any) -> LocalService:
    fitted = clone(estimator).fit(X[SPLIT.train], Y[SPLIT.train])
    service.result(service.pushed(fitted, X[SPLIT.train], holdout=SPLIT.rule))
    return service


def _work(service: LocalService, **options: Any) -> TrainingWork:
    return replace(service.training_work(with_target(X, Y), **options), mode=FitMode.UPDATE)


def test_a_training_updates_the_champion(service: LocalService) -> None:
    _service(service, make_pipeline(StandardScaler(), MiniBatchKMeans(3, random_state=0, n_init=1)))
    champion = service.estimators.load(service.manifest(1))
    before = service.answers(X[:50], Method.TRANSFORM)

    result = service.result(service.trained(_work(service)))

    expected = updated(champion, X[SPLIT.train], Y[SPLIT.train])
    assert_same_answers(service.answers(X[:50], Method.TRANSFORM, 2), expected.transform(X[:50]))
    assert service.answers(X[:50], Method.TRANSFORM) == before
    assert "kept_steps" in [finding["code"] for finding in result["findings"]]
    manifest = service.manifest(2)
    assert manifest.lineage is not None
    assert (manifest.lineage.mode, manifest.description) == (FitMode.UPDATE, "updated from version 1")
    assert (manifest.can_update, service.manifest(1).can_update) == (True, True)


def test_a_champion_without_partial_fit_fails_the_training_in_plain_words(service: LocalService) -> None:
    _service(service, make_pipeline(StandardScaler(), LogisticRegression()))

    job = service.trained(_work(service))

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.detail == (
        "the champion cannot be updated: LogisticRegression has no partial_fit. Train with mode refit"
    )
    assert service.manifest(1).can_update is False
