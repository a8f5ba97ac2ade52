"""Every estimator of scikit-learn, fitted on small data that it takes; and more of those with compiled parts."""

import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import NMF, MiniBatchNMF
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401 - fills the list
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import (
    KernelDensity,
    KNeighborsClassifier,
    KNeighborsRegressor,
    LocalOutlierFactor,
    NearestNeighbors,
    RadiusNeighborsClassifier,
)
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.utils._test_common.instance_generator import _construct_instances
from sklearn.utils.discovery import all_estimators

from queuecast.domain.work import Method

_random = np.random.default_rng(3)
N_ROWS = 40
NUMBERS = _random.integers(0, 4, (N_ROWS, 3)).astype(float) + 0.5
CLASSES = (NUMBERS[:, 0] + NUMBERS[:, 1] > 4).astype(int)
AMOUNT = NUMBERS @ [1.0, 2.0, 0.5] + _random.random(N_ROWS)
TEXTS = [f"{'red' if each[0] > 2 else 'blue'} {'car' if each[1] > 2 else 'boat'} number" for each in NUMBERS]
DICTS = [{"color": text.split()[0], "size": float(row[2])} for text, row in zip(TEXTS, NUMBERS, strict=True)]
TWO_CLASSES = np.column_stack([CLASSES, NUMBERS[:, 2] > 2]).astype(int)

# Rows and targets; an estimator is fitted on the first pair that it takes.
DATA: tuple[tuple[Any, Any], ...] = (
    (NUMBERS, CLASSES),
    (NUMBERS, AMOUNT),
    (NUMBERS, np.column_stack([AMOUNT, AMOUNT**0.5])),
    (NUMBERS, TWO_CLASSES),
    (NUMBERS[:, :1], AMOUNT),
    (NUMBERS[:, 0], AMOUNT),
    (TEXTS, CLASSES),
    (DICTS, CLASSES),
    (NUMBERS @ NUMBERS.T, CLASSES),
    (CLASSES, None),
    ([list(map(str, row)) for row in TWO_CLASSES], None),
)

MORE: dict[str, tuple[Any, Any]] = {
    "SVC(sparse)": (SVC(), csr_matrix(NUMBERS)),
    "SVC(probability)": (SVC(probability=True), NUMBERS),
    "SVC(precomputed)": (SVC(kernel="precomputed"), NUMBERS @ NUMBERS.T),
    "SVC(three)": (SVC(decision_function_shape="ovo"), NUMBERS),
    "NuSVC(sparse)": (NuSVC(nu=0.2), csr_matrix(NUMBERS)),
    "SVR(sparse)": (SVR(), csr_matrix(NUMBERS)),
    "OneClassSVM(linear)": (OneClassSVM(kernel="linear"), NUMBERS),
    "KNeighborsClassifier(brute)": (KNeighborsClassifier(algorithm="brute"), NUMBERS),
    "KNeighborsClassifier(ball_tree)": (KNeighborsClassifier(algorithm="ball_tree", leaf_size=5), NUMBERS),
    "KNeighborsClassifier(distance)": (KNeighborsClassifier(weights="distance", algorithm="brute"), NUMBERS),
    "KNeighborsClassifier(sparse)": (KNeighborsClassifier(), csr_matrix(NUMBERS)),
    "KNeighborsRegressor(seuclidean)": (
        KNeighborsRegressor(metric="seuclidean", metric_params={"V": np.ones(3)}, algorithm="ball_tree", leaf_size=5),
        NUMBERS,
    ),
    "KNeighborsRegressor(mahalanobis)": (
        KNeighborsRegressor(metric="mahalanobis", metric_params={"VI": np.eye(3)}, algorithm="ball_tree", leaf_size=5),
        NUMBERS,
    ),
    "NearestNeighbors(minkowski)": (NearestNeighbors(p=3, metric_params={"w": np.ones(3)}), NUMBERS),
    "RadiusNeighborsClassifier(brute)": (
        RadiusNeighborsClassifier(radius=9.0, algorithm="brute", outlier_label=0),
        NUMBERS,
    ),
    "LocalOutlierFactor(novelty)": (LocalOutlierFactor(novelty=True), NUMBERS),
    "KernelDensity(ball_tree)": (KernelDensity(algorithm="ball_tree", leaf_size=5), NUMBERS),
    "HistGradientBoostingClassifier(categories)": (
        HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, categorical_features=[0, 1]),
        np.floor(NUMBERS),
    ),
    "OneHotEncoder(groups)": (OneHotEncoder(min_frequency=9, drop="first", handle_unknown="ignore"), NUMBERS),
    "OneHotEncoder(in_columns)": (
        ColumnTransformer([("one", OneHotEncoder(), [0, 2])], remainder="passthrough"),
        NUMBERS,
    ),
    "PolynomialFeatures(sparse)": (PolynomialFeatures(), csr_matrix(NUMBERS)),
    "SplineTransformer(sparse)": (SplineTransformer(sparse_output=True), NUMBERS),
    "TfidfVectorizer": (TfidfVectorizer(), TEXTS),
    "NMF(kl)": (NMF(2, solver="mu", beta_loss="kullback-leibler"), NUMBERS),
    "MiniBatchNMF": (MiniBatchNMF(2), NUMBERS),
}


# Estimators whose instances for scikit-learn's own tests do not do here.
CONSTRUCTED = {
    "DummyClassifier": DummyClassifier(),
    "FrozenEstimator": FrozenEstimator(LogisticRegression().fit(NUMBERS, CLASSES)),
}


def names() -> list[str]:
    return sorted({*dict(all_estimators()), *MORE})


def fitted(name: str) -> tuple[Any, Any] | None:
    """A fitted estimator and the rows of its fit, which it answers; None if it has no method for new rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for estimator, rows, target in _candidates(name):
            with suppress(Exception):
                model = clone(estimator).fit(rows) if target is None else clone(estimator).fit(rows, target)
                if answers(model, rows[:5]):
                    return model, rows
    return None


def answers(model: Any, rows: Any) -> dict[Method, Any]:
    """The outputs of the methods that answer the rows."""
    found = {}
    for method in Method:
        if hasattr(model, method.value):
            with suppress(Exception):
                found[method] = getattr(model, method.value)(rows)
    return found


def _candidates(name: str) -> Iterator[tuple[Any, Any, Any]]:
    if name in MORE:
        estimator, rows = MORE[name]
        yield estimator, rows, np.floor(NUMBERS[:, 0]).astype(int)
        return
    kind = dict(all_estimators())[name]
    for estimator in [CONSTRUCTED[name]] if name in CONSTRUCTED else [*_instances(kind)][:1]:
        for rows, target in DATA:
            yield estimator, rows, target


def _instances(kind: type) -> Iterator[BaseEstimator]:
    simple = LogisticRegression()
    with suppress(Exception):
        yield from _construct_instances(kind)
        return
    for arguments in ({"estimator": simple}, {"estimators": [("a", simple)]}, {"steps": [("a", StandardScaler())]}):
        with suppress(TypeError):
            yield kind(**arguments)
