"""Estimators for generated frames: a step for each column, and a last step for each kind of target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity, KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.differential.kinds import Kind, Random, Role

SEED: dict[str, Any] = {"random_state": 0}
ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
ORDINAL = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
HIST = HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=3)
HIST_REGRESSOR = HistGradientBoostingRegressor(max_iter=4, min_samples_leaf=3)

TASKS: dict[str, tuple[Any, ...]] = {
    "classes": (
        LogisticRegression(max_iter=200),
        DecisionTreeClassifier(max_depth=4, **SEED),
        RandomForestClassifier(5, **SEED),
        ExtraTreesClassifier(5, **SEED),
        HIST,
        GradientBoostingClassifier(n_estimators=4, **SEED),
        AdaBoostClassifier(n_estimators=3, **SEED),
        KNeighborsClassifier(3),
        SVC(),
        LinearSVC(max_iter=200, **SEED),
        MLPClassifier((4,), max_iter=10, **SEED),
        GaussianNB(),
        CalibratedClassifierCV(LogisticRegression(), cv=2),
        VotingClassifier([("tree", DecisionTreeClassifier(**SEED)), ("bayes", GaussianNB())], voting="soft"),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        DummyClassifier(),
    ),
    "numbers": (
        LinearRegression(),
        Ridge(),
        DecisionTreeRegressor(max_depth=4, **SEED),
        RandomForestRegressor(5, **SEED),
        HIST_REGRESSOR,
        KNeighborsRegressor(3),
        SVR(),
        MLPRegressor((4,), max_iter=10, **SEED),
        TransformedTargetRegressor(Ridge(), func=np.arcsinh, inverse_func=np.sinh),
    ),
    "several numbers": (
        LinearRegression(),
        DecisionTreeRegressor(max_depth=4, **SEED),
        RandomForestRegressor(5, **SEED),
        KNeighborsRegressor(3),
        MultiOutputRegressor(Ridge()),
    ),
    "several classes": (
        MultiOutputClassifier(LogisticRegression()),
        RandomForestClassifier(5, **SEED),
        DecisionTreeClassifier(max_depth=4, **SEED),
        KNeighborsClassifier(3),
        ClassifierChain(LogisticRegression(), **SEED),
    ),
    "none": (
        IsolationForest(n_estimators=5, **SEED),
        OneClassSVM(),
        LocalOutlierFactor(n_neighbors=5, novelty=True),
        KMeans(2, n_init=1, **SEED),
        MiniBatchKMeans(2, n_init=1, **SEED),
        GaussianMixture(2, **SEED),
        KernelDensity(),
        PCA(1, **SEED),
        TruncatedSVD(1, **SEED),
        None,
        None,
    ),
}


@dataclass(frozen=True)
class Recipe:
    """How an estimator is built for the columns that a frame has.

    layout: "columns" has a step for each column, "whole" an encoder for all of them, "raw" none. "array" and "whole
    array" are the same on an array.
    """

    layout: str
    steps: Mapping[str, Any]
    last: Any
    task: str
    answers_frames: bool = False

    @property
    def is_array(self) -> bool:
        return self.layout.endswith("array")

    def build(self, names: Sequence[str], *, by_place: bool = False) -> Any:
        """by_place: whether the columns have no names of text, by which a step could find them."""
        last = [] if self.last is None else [clone(self.last)]
        if self.layout == "columns":
            columns = [
                (f"c{at}", _cloned(self.steps[name]), [at if by_place else name]) for at, name in enumerate(names)
            ]
            estimator: Any = make_pipeline(ColumnTransformer(columns), *last)
        elif self.layout.startswith("whole"):
            estimator = make_pipeline(_cloned(self.steps["*"]), *last)
        else:
            estimator = last[0] if last else StandardScaler()
        if self.answers_frames and isinstance(estimator, Pipeline):
            estimator.set_output(transform="pandas")
        return estimator


def draw_recipe(random: Random, kinds: Mapping[str, Kind], has_missing: Mapping[str, bool]) -> Recipe:
    """has_missing: whether a column holds missing values at the fit."""
    task = _one(random, ["classes", "classes", "numbers", "several numbers", "several classes", "none"])
    are_numbers = all(kind.role in (Role.NUMBER, Role.FLAG) for kind in kinds.values())
    layouts = ["columns", "columns", "columns", "whole"] + (["raw", "array"] if are_numbers else ["array"])
    layout = _one(random, layouts)
    steps = {name: _step(random, kind, has_missing=has_missing[name]) for name, kind in kinds.items()}
    if layout == "array" and not are_numbers:
        layout = "whole array"
    if layout.startswith("whole"):
        steps = {"*": _one(random, [ONE_HOT, ORDINAL])}
    last = _one(random, TASKS[task])
    if layout == "raw" and random.random() < 0.5:
        last = HIST if task == "classes" else HIST_REGRESSOR if task == "numbers" else last
    return Recipe(layout, steps, last, task, answers_frames=random.random() < 0.15)


def _step(random: Random, kind: Kind, *, has_missing: bool) -> Any:
    if kind.role is Role.OTHER:
        return "drop"
    if kind.role is Role.MOMENT:
        return _one(random, [ONE_HOT, ORDINAL, ORDINAL, "drop"])
    encoders = [ONE_HOT, ORDINAL, OneHotEncoder(handle_unknown="ignore")]
    if kind.role is Role.FLAG:
        return _one(random, encoders if has_missing else [*encoders, "passthrough"])
    if kind.role is Role.WORD:
        return _one(random, [*encoders, TargetEncoder(cv=2, **SEED), _filled(kind)])
    if has_missing:
        imputers = [SimpleImputer(strategy="median"), SimpleImputer(add_indicator=True)]
        return _one(
            random, [*(make_pipeline(each, StandardScaler()) for each in imputers), imputers[0], ORDINAL, "passthrough"]
        )
    bins = KBinsDiscretizer(3, encode="ordinal", strategy="uniform")
    scalers = [StandardScaler(), MinMaxScaler(), RobustScaler(), SimpleImputer(), bins]
    return _one(random, [*scalers, *scalers, ORDINAL, ONE_HOT, "passthrough"])


def _filled(kind: Kind) -> Any:
    missing = kind.missing[0] if kind.missing else np.nan
    return make_pipeline(SimpleImputer(missing_values=missing, strategy="most_frequent"), ONE_HOT)


def _cloned(step: Any) -> Any:
    return step if isinstance(step, str) else clone(step)


def _one(random: Random, choices: Sequence[Any]) -> Any:
    return choices[int(random.integers(0, len(choices)))]
