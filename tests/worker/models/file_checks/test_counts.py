"""Numbers of a model file that do not fit what they count are refused before anything is called, or even made."""

import json
import time
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.cluster import FeatureAgglomeration
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.manifold import LocallyLinearEmbedding
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier

from queuecast.domain.errors import ModelRefusedError
from tests.worker.models.forging import with_scalar
from worker.models.loading import load_estimator

ROWS = np.arange(60.0).reshape(30, 2) % 7
LABELS = np.arange(30) % 3

MODELS: dict[str, tuple[Any, str]] = {
    "outputs of a tree": (DecisionTreeClassifier(max_depth=2), "/n_outputs_"),
    "classes of a forest": (RandomForestClassifier(2, max_depth=2), "/content/content/n_classes_"),
    "outputs of a forest": (RandomForestClassifier(2, max_depth=2), "/content/content/n_outputs_"),
    "outputs of a dummy": (DummyRegressor(), "/n_outputs_"),
    "classes of a dummy": (DummyClassifier(), "/n_outputs_"),
    "trees of a stage": (HistGradientBoostingClassifier(max_iter=1), "/n_trees_per_iteration_"),
    "nodes of a neighbors tree": (KNeighborsClassifier(algorithm="ball_tree", leaf_size=3), "/_tree/content/content/6"),
    "products": (PolynomialFeatures(), "/_n_out_full"),
    "splines": (SplineTransformer(), "/n_features_out_"),
    "components": (LocallyLinearEmbedding(n_neighbors=4), "/n_components"),
    "a seed": (HistGradientBoostingClassifier(max_iter=1), "/seed_seq/content/pool_size"),
}


@pytest.mark.parametrize(("estimator", "place"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("value", [-1, 10**8, "x", None])
def test_a_number_that_does_not_fit_what_it_counts_is_refused(estimator: Any, place: str, value: Any) -> None:
    model = skops.io.dumps(estimator.fit(ROWS, LABELS))
    load_estimator(model)
    began = time.monotonic()

    with pytest.raises(ModelRefusedError):
        load_estimator(with_scalar(model, place, value))

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("value", [-1, 0, 3])
def test_a_tree_with_fewer_nodes_than_its_arrays_is_refused(value: int) -> None:
    """A tree that says more of them has as many as its arrays, once scikit-learn has read it."""
    model = skops.io.dumps(DecisionTreeClassifier(max_depth=2).fit(ROWS, LABELS))

    with pytest.raises(ModelRefusedError):
        load_estimator(with_scalar(model, "/tree_/content/content/node_count", value))


@pytest.mark.parametrize("value", [-1, 0])
def test_a_tree_of_neighbors_without_a_size_of_its_leaves_is_refused(value: int) -> None:
    """Compiled code divides by it. A size that is too large only makes a heap small, which grows."""
    model = skops.io.dumps(KernelDensity(algorithm="kd_tree", leaf_size=3).fit(ROWS))

    with pytest.raises(ModelRefusedError):
        load_estimator(with_scalar(model, "/tree_/content/content/4", value))


def test_a_cluster_of_features_that_cannot_be_is_refused() -> None:
    estimator = FeatureAgglomeration().fit(ROWS)
    estimator.labels_ = np.full(2, 10**8)

    with pytest.raises(ModelRefusedError, match="features of a cluster that cannot be"):
        load_estimator(skops.io.dumps(estimator))


@pytest.mark.parametrize("attribute", ["_impl", "predict", "_sparse_kernels"])
def test_a_model_does_not_replace_what_its_class_defines(attribute: str) -> None:
    estimator = make_pipeline(SVR()).fit(ROWS, LABELS)
    vars(estimator[-1])[attribute] = "c_svc"

    with pytest.raises(ModelRefusedError, match=f"its own {attribute} in place of those of the class"):
        load_estimator(skops.io.dumps(estimator))


def test_a_scalar_that_is_not_in_the_file_cannot_be_forged() -> None:
    with pytest.raises(KeyError):
        with_scalar(skops.io.dumps(SVR()), "/no_such", json.loads("1"))
