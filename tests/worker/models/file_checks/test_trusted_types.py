"""What a model file may name: derived from scikit-learn's own lists, and nothing that opens, runs or looks up."""

import inspect
import io
import json
import os
import re
import subprocess
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest, r_regression
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import fbeta_score, get_scorer, get_scorer_names, make_scorer
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from queuecast.client.pushing import estimator_parts
from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.job import State
from queuecast.domain.work import Method
from queuecast.estimators.trusted_types import TRUSTED_TYPES, full_name, functions_of_arrays
from tests.worker.model_fixtures import LocalService, assert_same_answers, plain_outputs, with_target
from worker.models.loading import dump_estimator, load_estimator

pytestmark = pytest.mark.filterwarnings("ignore")

_random = np.random.default_rng(11)
NUMBERS = _random.normal(size=(300, 3))
FRAME = pd.DataFrame(NUMBERS, columns=["low", "middle", "high"]).assign(
    place=pd.Series(np.array(["north", "south", "west"])[_random.integers(0, 3, 300)], dtype="str")
)
LABELS = (NUMBERS[:, 0] + NUMBERS[:, 1] > 0).astype(int)


def _named(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


# Pushed, predicted and retrained, as the client sends them.


def _words(categories: Any) -> Any:
    encoder = OneHotEncoder(categories=categories, handle_unknown="ignore")
    return make_pipeline(ColumnTransformer([("words", encoder, ["place"])]), LogisticRegression())


CASES: dict[str, tuple[Any, Any]] = {
    "column_selector": (
        make_pipeline(
            ColumnTransformer(
                [
                    ("numbers", StandardScaler(), make_column_selector(dtype_include=np.number)),
                    ("words", OneHotEncoder(), make_column_selector(pattern="^pl")),
                ]
            ),
            LogisticRegression(),
        ),
        FRAME,
    ),
    "columns_as_an_index": (
        make_pipeline(
            ColumnTransformer([("numbers", StandardScaler(), FRAME.columns[:3])], remainder="drop"),
            LogisticRegression(),
        ),
        FRAME,
    ),
    "categories_from_unique": (_words([FRAME["place"].unique()]), FRAME),
    "categories_from_a_category": (_words([FRAME["place"].astype("category").unique()]), FRAME),
    "iterative_imputer": (make_pipeline(IterativeImputer(random_state=0), LogisticRegression()), NUMBERS),
    "frozen_distributions": (
        RandomizedSearchCV(
            RandomForestClassifier(random_state=0),
            {"n_estimators": randint(2, 6), "min_samples_leaf": randint(low=1, high=3)},
            n_iter=2,
            cv=2,
            random_state=0,
        ),
        NUMBERS,
    ),
    "loguniform": (
        RandomizedSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression()),
            [{"logisticregression__C": loguniform(1e-3, 1e2)}, {"logisticregression__C": uniform(0.1, 3)}],
            n_iter=3,
            cv=2,
            random_state=0,
        ),
        NUMBERS,
    ),
    "halving_search": (
        HalvingRandomSearchCV(LogisticRegression(), {"C": loguniform(1e-3, 1e2)}, cv=2, random_state=0),
        NUMBERS,
    ),
    "scorer": (
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring=make_scorer(fbeta_score, beta=2), cv=2),
        NUMBERS,
    ),
    "r_regression": (make_pipeline(SelectKBest(r_regression, k=2), LogisticRegression()), NUMBERS),
    "numpy_function": (make_pipeline(FunctionTransformer(np.nan_to_num), LogisticRegression()), NUMBERS),
    "numpy_clip": (
        make_pipeline(FunctionTransformer(np.clip, kw_args={"a_min": -1, "a_max": 1}), LogisticRegression()),
        NUMBERS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_everyday_model_is_pushed_predicted_and_retrained(service: LocalService, name: str) -> None:
    estimator, features = CASES[name]
    fitted = estimator.fit(features, LABELS)
    data = estimator_parts(fitted, features)["model"][1]
    pushed = service.pushed(data, features)
    assert pushed.state is State.SUCCEEDED, pushed.failure
    assert_same_answers(service.answers(features, Method.PREDICT), plain_outputs(fitted, Method.PREDICT, features))

    trained = service.trained(service.training_work(with_target(features, LABELS)))
    assert trained.state is State.SUCCEEDED, trained.failure
    assert len(service.answers(features, Method.PREDICT, 2)) == len(features)


def test_a_push_does_not_change_the_estimator() -> None:
    columns = FRAME.columns[:3]
    search = RandomizedSearchCV(LogisticRegression(), {"C": loguniform(1, 2)})
    mixed = ColumnTransformer([("numbers", StandardScaler(), columns)])
    for estimator in (search, mixed):
        estimator_parts(estimator, NUMBERS)

    assert hasattr(search.param_distributions["C"], "rvs")
    assert mixed.transformers[0][2] is columns


def test_an_estimator_that_refers_to_itself_is_refused_in_plain_words() -> None:
    refers: list[Any] = []
    refers.append(refers)

    with pytest.raises(ValueError, match="refers to itself"):
        estimator_parts(RandomizedSearchCV(LogisticRegression(), {"C": refers}), NUMBERS)


@pytest.mark.parametrize(
    "distribution",
    [
        {"scipy.stats": "os", "args": [], "kwds": {}},
        {"scipy.stats": "rv_histogram", "args": [], "kwds": {}},
        {"scipy.stats": "__builtins__", "args": [], "kwds": {}},
        {"scipy.stats": "loguniform", "args": ["1", "2"], "kwds": {}},
        {"scipy.stats": "loguniform", "args": [1, 2], "kwds": {"loc": "0"}},
    ],
)
def test_a_forged_distribution_is_refused(distribution: dict[str, Any]) -> None:
    with pytest.raises(ModelRefusedError, match="distribution"):
        load_estimator(skops.io.dumps(RandomizedSearchCV(LogisticRegression(), {"C": distribution})))


# Every list of scikit-learn


@pytest.mark.parametrize("function", sorted(functions_of_arrays(), key=full_name), ids=full_name)
def test_a_trusted_function_loads_as_itself(function: Any) -> None:
    assert load_estimator(dump_estimator(FunctionTransformer(function))).func is function


@pytest.mark.parametrize("name", get_scorer_names())
def test_every_scorer_loads(name: str) -> None:
    loaded = load_estimator(dump_estimator(GridSearchCV(LinearRegression(), {}, scoring=get_scorer(name))))

    assert repr(loaded.scoring) == repr(get_scorer(name))


@pytest.mark.parametrize("dtype", [np.number, np.integer, np.floating, object, bool, "category", [np.float64, "str"]])
def test_a_column_selector_loads_with_every_kind_of_dtype(dtype: Any) -> None:
    selector = make_column_selector(dtype_include=dtype)
    loaded = load_estimator(dump_estimator(ColumnTransformer([("a", OrdinalEncoder(), selector)])))

    assert loaded.transformers[0][2].dtype_include == dtype


# What trust must not reach


@pytest.mark.parametrize(
    "function",
    [np.save, np.savez, np.savetxt, np.load, np.loadtxt, np.genfromtxt, np.fromfile, np.apply_along_axis, np.piecewise],
)
def test_functions_of_numpy_that_open_files_or_call_functions_are_not_trusted(function: Any) -> None:
    assert full_name(function) not in TRUSTED_TYPES


# Trusted functions with a parameter that can be a function. The file can only name functions that are trusted too.
CALLS_A_TRUSTED_FUNCTION = {
    "numpy.pad": "mode",
    "sklearn.cluster._agglomerative.linkage_tree": "affinity",
    "sklearn.cluster._dbscan.dbscan": "metric",
    "sklearn.cluster._kmeans.k_means": "init",
    "sklearn.cluster._optics.compute_optics_graph": "metric",
    "sklearn.covariance._robust_covariance.fast_mcd": "cov_computation_method",
    "sklearn.decomposition._fastica.fastica": "fun",
    "sklearn.manifold._t_sne.trustworthiness": "metric",
    "sklearn.metrics._ranking.metric_at_thresholds": "metric_func",
    "sklearn.metrics.cluster._bicluster.consensus_score": "similarity",
    "sklearn.metrics.cluster._unsupervised.silhouette_samples": "metric",
    "sklearn.metrics.cluster._unsupervised.silhouette_score": "metric",
    "sklearn.metrics.pairwise.paired_distances": "metric",
    "sklearn.metrics.pairwise.pairwise_distances": "metric",
    "sklearn.metrics.pairwise.pairwise_distances_argmin": "metric",
    "sklearn.metrics.pairwise.pairwise_distances_argmin_min": "metric",
    "sklearn.metrics.pairwise.pairwise_distances_chunked": "reduce_func, metric",
    "sklearn.metrics.pairwise.pairwise_kernels": "metric",
}


def _trusted_functions() -> dict[str, Any]:
    found = {name: _named(name) for name in TRUSTED_TYPES}
    return {name: thing for name, thing in found.items() if not isinstance(thing, type)}


def test_no_trusted_function_has_a_parameter_for_a_path_a_command_or_a_host() -> None:
    words = re.compile(r"(^|_)(path|file|filename|fname|folder|dir|home|url|host|command|memory|cache|out_file)(_|$)")
    found = {
        f"{name}({parameter})"
        for name, function in _trusted_functions().items()
        for parameter in inspect.signature(function).parameters
        if words.search(parameter)
    }

    # `return_path` asks for a path of coefficients; `working_memory` is a number of megabytes.
    assert {each for each in found if not each.endswith(("(return_path)", "(working_memory)"))} == set()


def test_the_trusted_functions_that_can_call_a_function_have_been_read() -> None:
    found = {
        name
        for name, function in _trusted_functions().items()
        if re.search(r"^\s*\w+ : .*\b(callable|str or function)\b", inspect.getdoc(function) or "", re.MULTILINE)
    }

    assert found == CALLS_A_TRUSTED_FUNCTION.keys()


def test_no_trusted_function_opens_runs_or_evaluates_in_its_source() -> None:
    words = re.compile(r"\b(open|exec|eval|system|Popen|urlopen|urlretrieve|__import__|import_module|makedirs)\(")
    found = set()
    for name, function in _trusted_functions().items():
        try:
            source = inspect.getsource(inspect.unwrap(function))
        except (OSError, TypeError):
            continue
        if words.search(source):
            found.add(name)

    assert found == set()


def test_no_distribution_of_scipy_is_trusted() -> None:
    """The state of one holds source code, which scipy passes to exec."""
    assert not [name for name in TRUSTED_TYPES if name.startswith("scipy.stats")]


def _forged(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A FunctionTransformer with a changed node for its function."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(FunctionTransformer(np.log1p)))) as archive:
        schema = json.loads(archive.read("schema.json"))
    change(schema["content"]["content"]["func"])
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    return target.getvalue()


@pytest.mark.parametrize("called", [os.system, subprocess.call, eval, exec, open, np.load, Path, norm.__class__])
def test_a_file_cannot_call_what_is_not_trusted(called: Any) -> None:
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "content": []}
    name = {"__class__": called.__name__, "__module__": called.__module__}
    data = _forged(lambda node: node.update(name, __loader__="ConstructorFromReduceNode", content=arguments))

    with pytest.raises(ModelRefusedError) as refused:
        load_estimator(data)

    assert refused.value.code == "untrusted_types"


def test_a_package_that_is_not_served_yet_is_named() -> None:
    data = _forged(lambda node: node.update({"__class__": "XGBClassifier", "__module__": "xgboost.sklearn"}))

    with pytest.raises(ModelRefusedError) as refused:
        load_estimator(data)

    assert refused.value.code == "untrusted_types"
    assert "The package xgboost cannot be served yet" in refused.value.detail
