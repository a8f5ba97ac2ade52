"""Every scikit-learn estimator that predicts can be pushed and retrained, and predicts like in this process."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - fills the list
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

import queuecast
from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.holdout import Split
from queuecast.domain.job import State
from queuecast.domain.work import Method
from tests.worker.model_fixtures import LocalService, assert_same_answers, plain_outputs, with_target
from worker.models.loading import dump_estimator

pytestmark = pytest.mark.filterwarnings("ignore")  # about small data and deprecations

CLASSIFIERS = dict(all_estimators("classifier"))
REGRESSORS = dict(all_estimators("regressor"))
# All other estimators with `predict`: clusterers, mixtures, outlier detectors, searches.
OTHERS = {
    name: kind
    for name, kind in all_estimators()
    if (hasattr(kind, "predict") or name.endswith("SearchCV")) and name not in CLASSIFIERS.keys() | REGRESSORS.keys()
}
TWO_TARGETS = {
    "CCA",
    "ClassifierChain",
    "MultiOutputClassifier",
    "MultiOutputRegressor",
    "MultiTaskElasticNet",
    "MultiTaskElasticNetCV",
    "MultiTaskLasso",
    "MultiTaskLassoCV",
    "PLSCanonical",
    "RegressorChain",
}
CONSTRUCTED = {  # estimators that need other arguments than `estimator` or `estimators`
    "GridSearchCV": {"estimator": Ridge(), "param_grid": {"alpha": [0.1, 1.0]}},
    "HalvingGridSearchCV": {"estimator": Ridge(), "param_grid": {"alpha": [0.1, 1.0]}},
    "HalvingRandomSearchCV": {"estimator": Ridge(), "param_distributions": {"alpha": loguniform(0.01, 10)}},
    "Pipeline": {"steps": [("scale", StandardScaler()), ("model", Ridge())]},
    "RandomizedSearchCV": {"estimator": Ridge(), "param_distributions": {"alpha": [0.1, 1.0, 10.0]}, "n_iter": 2},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
}
CANNOT = {
    "Birch": "cannot be saved",  # skops has no way to write its tree of subclusters
    "LocalOutlierFactor": "no_usable_method",  # it predicts with novelty=True only
}
N_ROWS = 80
_random = np.random.default_rng(7)
NUMBERS = _random.integers(0, 3, (N_ROWS, 3)).astype(float)
IS_HIGH = NUMBERS[:, 0] + NUMBERS[:, 1] + _random.normal(0, 0.3, N_ROWS) > 2
AMOUNT = 1 + NUMBERS @ [1.0, 2.0, 0.5] + _random.random(N_ROWS)


@dataclass(frozen=True)
class Case:
    """An unfitted estimator with all rows and the split of both sides."""

    estimator: Any
    features: Any
    target: Any

    @property
    def split(self) -> Split:
        return queuecast.holdout(self.features)

    @property
    def target_names(self) -> tuple[str, ...]:
        return ("target",) if self.target.ndim == 1 else tuple(f"target{i}" for i in range(self.target.shape[1]))

    def fitted(self) -> Any:
        train = self.split.train
        features = self.features.iloc[train] if hasattr(self.features, "iloc") else self.features[train]
        return clone(self.estimator).fit(features, self.target[train])


def _case(name: str) -> Case:
    kind = (CLASSIFIERS | REGRESSORS | OTHERS)[name]
    estimator = kind(**_arguments(name, kind))
    unseeded = [key for key, value in estimator.get_params().items() if key.endswith("random_state") and value is None]
    estimator.set_params(**dict.fromkeys(unseeded, 0))
    features: Any = NUMBERS[:, :1] if name == "IsotonicRegression" else NUMBERS
    if name in CLASSIFIERS:
        features = pd.DataFrame(features, columns=["low", "middle", "high"])  # the regressors get arrays
        return Case(estimator, features, _classes(name))
    target = np.column_stack([AMOUNT, 2 + NUMBERS[:, 2] + AMOUNT**0.5]) if name in TWO_TARGETS else AMOUNT
    return Case(estimator, features, target)


def _arguments(name: str, kind: type) -> dict[str, Any]:
    if name in CONSTRUCTED:
        return CONSTRUCTED[name]
    simple = LogisticRegression() if name in CLASSIFIERS else Ridge()
    parameters = inspect.signature(kind).parameters.values()
    wanted = {each.name for each in parameters if each.default is inspect.Parameter.empty}
    given = {"estimator": simple, "estimators": [("first", simple), ("second", clone(simple))]}
    return {key: value for key, value in given.items() if key in wanted}


def _classes(name: str) -> Any:
    if name == "ClassifierChain":  # it feeds one target into the next model as a feature, so targets are numbers
        return np.column_stack([IS_HIGH, NUMBERS[:, 2] > 1]).astype(int)
    words = np.where(IS_HIGH, "high", "low")
    if name == "SelfTrainingClassifier":  # -1 means "not labeled" there, so it needs strings as objects
        return words.astype(object)
    return np.column_stack([words, np.where(NUMBERS[:, 2] > 1, "many", "few")]) if name in TWO_TARGETS else words


def _usable(fitted: Any, rows: Any) -> list[Method]:
    """The methods that return one output for each row in this process."""
    found = []
    for method in Method:
        if hasattr(fitted, method.value):
            try:
                answered = plain_outputs(fitted, method, rows)
            except (AttributeError, NotFittedError):
                continue
            if len(answered) == len(rows):
                found.append(method)
    return found


def _assert_version_answers_as(service: LocalService, version: int, fitted: Any, features: Any) -> None:
    methods = service.manifest(version).signature.methods
    assert list(methods) == _usable(fitted, features)
    for method in methods:
        found = service.answers(features, method, version)
        assert_same_answers(found, plain_outputs(fitted, method, features))


class PushRefusedError(Exception):
    """The import job failed."""


def _push(service: LocalService, case: Case) -> None:
    pushed = service.pushed(dump_estimator(case.fitted()), case.features)
    if pushed.failure:
        raise PushRefusedError(f"{pushed.failure.code}: {pushed.failure.detail}")


def _assert_goes_through(service: LocalService, case: Case) -> None:
    first = case.fitted()
    split = case.split
    known = case.features.iloc[split.train] if hasattr(case.features, "iloc") else case.features[split.train]
    pushed = service.pushed(dump_estimator(first), known, case.target_names, split.rule)
    assert pushed.state is State.SUCCEEDED, pushed.failure
    _assert_version_answers_as(service, 1, first, case.features)

    trained = service.trained(service.training_work(with_target(case.features, case.target), case.target_names))
    assert trained.state is State.SUCCEEDED, trained.failure
    assert service.result(trained)["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    _assert_version_answers_as(service, 2, case.fitted(), case.features)


@pytest.mark.parametrize("name", sorted((CLASSIFIERS | REGRESSORS | OTHERS).keys() - CANNOT.keys()))
def test_a_pushed_and_a_retrained_estimator_predict_like_in_this_process(service: LocalService, name: str) -> None:
    _assert_goes_through(service, _case(name))


@pytest.mark.parametrize(("name", "reason"), CANNOT.items())
def test_an_estimator_that_cannot_be_served_is_refused_with_its_reason(
    service: LocalService, name: str, reason: str
) -> None:
    case = _case(name)

    with pytest.raises((ModelRefusedError, PushRefusedError), match=reason):
        _push(service, case)


def test_every_classifier_and_regressor_of_scikit_learn_is_served() -> None:
    assert not CANNOT.keys() & (CLASSIFIERS.keys() | REGRESSORS.keys())


def _mixed_frame() -> pd.DataFrame:
    """Numbers and strings with missing values, a category and integers."""
    age = NUMBERS[:, 0] * 10 + np.arange(N_ROWS) / 7
    age[::9] = np.nan
    words = pd.Series(np.where(NUMBERS[:, 1] > 1, "south", "north"), dtype="str")
    words[::11] = None
    return pd.DataFrame(
        {
            "age": age,
            "place": words,
            "kind": pd.Categorical(np.array(["a", "b", "c"])[NUMBERS[:, 2].astype(int)]),
            "count": NUMBERS[:, 1].astype(int),
        }
    )


def _columns() -> ColumnTransformer:
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("numbers", numbers, ["age", "count"]), ("words", words, ["place", "kind"])])


WORDS = np.where(IS_HIGH, "high", "low")
PIPELINES = {
    "columns": Case(Pipeline([("columns", _columns()), ("model", LogisticRegression())]), _mixed_frame(), WORDS),
    "categories_from_dtype": Case(
        HistGradientBoostingClassifier(categorical_features="from_dtype", min_samples_leaf=3, random_state=0),
        _mixed_frame()[["age", "kind", "count"]],
        WORDS,
    ),
    "grid_search": Case(
        GridSearchCV(
            make_pipeline(_columns(), SVC(probability=False)), {"svc__C": [0.5, 2.0]}, scoring="balanced_accuracy"
        ),
        _mixed_frame(),
        WORDS,
    ),
    "voting": Case(
        VotingClassifier(
            [("forest", RandomForestClassifier(n_estimators=5, random_state=0)), ("linear", LogisticRegression())],
            voting="soft",
        ),
        NUMBERS,
        IS_HIGH,
    ),
    "stacking": Case(
        StackingClassifier(
            [("tree", DecisionTreeClassifier(random_state=0)), ("vectors", SVC())], LogisticRegression(), cv=3
        ),
        NUMBERS,
        NUMBERS[:, 2].astype(int),
    ),
    "two_targets": Case(
        MultiOutputClassifier(make_pipeline(_columns(), LogisticRegression())),
        _mixed_frame(),
        np.column_stack([WORDS, np.where(NUMBERS[:, 2] > 1, "many", "few")]),
    ),
    "selection": Case(make_pipeline(SelectKBest(k=2), LogisticRegression()), NUMBERS, IS_HIGH.astype(int)),
    "whole_numbers": Case(LinearRegression(), NUMBERS.astype(int), AMOUNT),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pushed_and_a_retrained_pipeline_predict_like_in_this_process(service: LocalService, name: str) -> None:
    _assert_goes_through(service, PIPELINES[name])
