"""Parameters that name threads, folders or files of the machine of the fit are reset when a model is loaded."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import FeatureAgglomeration, KMeans
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.discovery import all_estimators

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.job import State
from tests.worker.model_fixtures import LocalService, with_target
from worker.models.loading import dump_estimator, load_estimator

pytestmark = pytest.mark.filterwarnings("ignore")

_random = np.random.default_rng(5)
X = _random.normal(size=(200, 3))
Y = (X[:, 0] > 0).astype(int)


def _steps(memory: Path | None = None) -> Pipeline:
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())], memory=memory and str(memory))


def test_a_retraining_of_a_pipeline_with_memory_writes_nothing_into_that_folder(
    service: LocalService, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    pushed = service.pushed(_steps().fit(X, Y).set_params(memory=str(folder)), X)
    assert pushed.state is State.SUCCEEDED, pushed.failure

    trained = service.trained(service.training_work(with_target(X, Y)))

    assert trained.state is State.SUCCEEDED, trained.failure
    assert not folder.exists()


def test_a_training_cannot_set_a_folder_by_its_parameters(service: LocalService, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    service.pushed(_steps().fit(X, Y), X)

    trained = service.trained(service.training_work(with_target(X, Y), params={"memory": str(folder)}))

    assert trained.state is State.SUCCEEDED, trained.failure
    assert not folder.exists()


@pytest.mark.parametrize(
    ("estimator", "memory_of"),
    [
        (_steps(Path("/cache")), lambda loaded: loaded.memory),
        (make_pipeline(_steps(Path("/cache"))), lambda loaded: loaded[0].memory),
        (FeatureAgglomeration(memory="/cache"), lambda loaded: loaded.memory),
        (GridSearchCV(_steps(Path("/cache")), {}), lambda loaded: loaded.estimator.memory),
        (GridSearchCV(_steps(), {"memory": ["/cache"]}), lambda loaded: loaded.param_grid["memory"][0]),
        (
            GridSearchCV(make_pipeline(_steps()), [{"pipeline__memory": ["/cache"]}]),
            lambda loaded: loaded.param_grid[0]["pipeline__memory"][0],
        ),
        (
            GridSearchCV(make_pipeline(None), {"pipeline": [_steps(Path("/cache"))]}),
            lambda loaded: loaded.param_grid["pipeline"][0].memory,
        ),
    ],
    ids=["pipeline", "step", "agglomeration", "searched", "candidate", "inner_candidate", "candidate_pipeline"],
)
def test_a_folder_is_reset_wherever_a_fit_can_find_it(estimator: Any, memory_of: Any) -> None:
    assert memory_of(load_estimator(dump_estimator(estimator))) is None


@pytest.mark.parametrize(
    ("function", "threads_of"),
    [
        (
            FunctionTransformer(pairwise_distances, kw_args={"n_jobs": 64}),
            lambda loaded: loaded.kw_args["n_jobs"],
        ),
        (
            FunctionTransformer(partial(pairwise_distances, n_jobs=64)),
            lambda loaded: loaded.func.keywords["n_jobs"],
        ),
    ],
    ids=["arguments", "partial"],
)
def test_threads_among_the_arguments_of_a_function_are_reset(function: Any, threads_of: Any) -> None:
    assert threads_of(load_estimator(dump_estimator(function))) is None


def test_the_threads_that_kmeans_found_on_its_machine_are_reset() -> None:
    fitted = KMeans(2, n_init=1).fit(X)
    fitted._n_threads = 10**6

    assert load_estimator(dump_estimator(fitted)).predict(X).shape == (200,)


@pytest.mark.parametrize("kind", [CountVectorizer, TfidfVectorizer, HashingVectorizer])
@pytest.mark.parametrize("source", ["file", "filename"])
def test_a_vectorizer_that_reads_files_is_refused(kind: Any, source: str) -> None:
    """Its rows would name files of the worker."""
    for estimator in (kind(input=source), GridSearchCV(make_pipeline(kind()), {"x__input": ["content", source]})):
        with pytest.raises(ModelRefusedError, match="files of the worker"):
            load_estimator(dump_estimator(estimator))


# Parameters of scikit-learn's estimators that take any text, and why the text names no path, command or host.
TEXT_PARAMETERS = {
    "constant": "a value",
    "encoding": "a name of an encoding",
    "importance_getter": "names of attributes, which are read and not called",
    "memory": "a path: reset to None",
    "metric": "a name of a distance",
    "outlier_label": "a label",
    "pos_label": "a label",
    "pre_dispatch": "a sum of numbers, which joblib reads without eval",
    "refit": "a name of a score",
    "resource": "a name of a parameter that takes a number",
    "scoring": "a name of a scorer",
    "separator": "goes between two words",
    "threshold": "a number times `mean` or `median`",
    "token_pattern": "a regular expression for words",
    "verbose_feature_names_out": "a pattern for names of columns, filled by str.format with two names",
}


def _text_parameters() -> Iterator[str]:
    for _, kind in all_estimators():
        for name, allowed in getattr(kind, "_parameter_constraints", {}).items():
            if isinstance(allowed, list) and str in allowed:
                yield name


def test_every_parameter_that_takes_any_text_has_been_read() -> None:
    assert set(_text_parameters()) == TEXT_PARAMETERS.keys()


def test_no_estimator_has_another_parameter_for_a_path_a_command_or_a_host() -> None:
    words = ("path", "file", "folder", "dir", "memory", "cache", "url", "host", "command", "location")
    found = {
        name
        for _, kind in all_estimators()
        for name in getattr(kind, "_parameter_constraints", {})
        if any(word in name.split("_") for word in words)
    }

    # cache_size is the megabytes of an SVC's kernel; the paths are those of a graph and of coefficients.
    assert found == {"memory", "cache_size", "path_method", "fit_path"}
