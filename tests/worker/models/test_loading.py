"""Model files that must be refused, files that must load, and the cache of loaded models."""

import functools
import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sklearn
import skops.io
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.job import State
from queuecast.domain.work import Method
from queuecast.estimators.trusted_types import TRUSTED_TYPES
from tests.worker.model_fixtures import LocalService
from worker.models.file_checks.archive_checks import unpacked_bytes
from worker.models.loading import EstimatorCache, dump_estimator, load_estimator

pytestmark = pytest.mark.filterwarnings("ignore")

_random = np.random.default_rng(3)
X = _random.integers(0, 6, (80, 3)).astype(float)
Y = (X[:, 0] + X[:, 1] > 5).astype(int)
SCHEMA = "schema.json"


def shifted(rows: Any) -> Any:
    """A custom function of a user."""
    return rows + 1


class OwnScaler(BaseEstimator):
    """A custom class of a user."""

    def fit(self, X: Any, y: Any = None) -> "OwnScaler":  # noqa: N803 - scikit-learn's name
        self.scale_ = 2
        return self


def _refusal(data: bytes) -> ModelRefusedError:
    with pytest.raises(ModelRefusedError) as refused:
        load_estimator(data)
    return refused.value


def _rewritten(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with changed entries, still a valid zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    return _zipped(entries)


def _zipped(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return target.getvalue()


LINEAR = skops.io.dumps(LogisticRegression().fit(X, Y))


# Types


@pytest.mark.parametrize(
    ("function", "name"),
    [(shifted, "shifted"), (os.system, "system"), (functools.partial(shifted), "shifted"), (pickle.loads, "loads")],
    ids=["own", "system", "partial", "pickle"],
)
def test_a_function_that_is_not_listed_is_refused_with_its_name(function: Any, name: str) -> None:
    refusal = _refusal(skops.io.dumps(make_pipeline(FunctionTransformer(function), LogisticRegression())))

    assert refusal.code == "untrusted_types"
    assert name in refusal.detail


def test_a_custom_class_is_refused_with_its_name() -> None:
    refusal = _refusal(skops.io.dumps(make_pipeline(OwnScaler(), LogisticRegression())))

    assert (refusal.code, "OwnScaler" in refusal.detail) == ("untrusted_types", True)


def test_a_pushed_custom_function_fails_the_import_with_its_name(service: LocalService) -> None:
    failure = service.pushed(make_pipeline(FunctionTransformer(shifted), LogisticRegression()).fit(X, Y), X).failure

    assert failure is not None
    assert (failure.code, "shifted" in failure.detail) == ("untrusted_types", True)


@pytest.mark.parametrize("function", [np.log1p, functools.partial(np.mean, axis=1)], ids=["ufunc", "partial"])
def test_functions_of_numpy_that_are_listed_load(function: Any) -> None:
    loaded = load_estimator(skops.io.dumps(FunctionTransformer(function)))

    assert np.array_equal(loaded.transform(X), function(X))


def test_trusted_types_belong_to_scikit_learn_and_its_dependencies() -> None:
    names = TRUSTED_TYPES - {"builtins.object"}  # `make_column_selector(dtype_include=object)` names it

    python_values = {f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")}
    python_values.add("decimal.Decimal")  # an encoder has learned them
    assert names >= python_values
    assert {name.partition(".")[0] for name in names - python_values} == {"sklearn", "scipy", "numpy", "functools"}


def test_a_distance_that_calls_a_function_from_the_file_is_not_trusted() -> None:
    assert not [name for name in TRUSTED_TYPES if "PyFunc" in name]


# Archives


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip file",
        pickle.dumps(LogisticRegression()),
        LINEAR[: len(LINEAR) // 2],
        LINEAR[:-30],
        _zipped({}),
        _zipped({SCHEMA: b"{"}),
        _zipped({SCHEMA: b"[]"}),
        _zipped({SCHEMA: b"\xff\xfe"}),
        _zipped({SCHEMA: b'{"a":' * 100_000}),
        _zipped({SCHEMA: b"{}"}),
        _zipped({"other.json": b"{}"}),
    ],
    ids=[
        "empty",
        "text",
        "pickle",
        "half",
        "tail_cut",
        "no_entries",
        "broken_json",
        "list",
        "not_utf8",
        "deep",
        "nothing",
        "no_schema",
    ],
)
def test_bytes_that_are_not_a_skops_file_are_refused(data: bytes) -> None:
    assert _refusal(data).code == "model_refused"


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_an_archive_with_a_changed_byte_is_refused(at: float) -> None:
    position = int(len(LINEAR) * at)
    changed = LINEAR[:position] + bytes([LINEAR[position] ^ 0xFF]) + LINEAR[position + 1 :]

    assert _refusal(changed).code == "model_refused"


def test_an_archive_without_one_of_its_arrays_is_refused() -> None:
    lacking = _rewritten(LINEAR, lambda entries: entries.pop(next(name for name in entries if name.endswith(".npy"))))

    assert _refusal(lacking).code == "model_refused"


def test_an_array_of_pickled_objects_is_refused() -> None:
    pickled = io.BytesIO()
    np.save(pickled, np.array([shifted], dtype=object), allow_pickle=True)

    def forge(entries: dict[str, bytes]) -> None:
        for name in [name for name in entries if name.endswith(".npy")]:
            entries[name] = pickled.getvalue()

    assert _refusal(_rewritten(LINEAR, forge)).code == "model_refused"


BOMB_BYTES = 64 * 2**20


def _peak_bytes(data: bytes) -> int:
    tracemalloc.start()
    try:
        _refusal(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = _zipped({SCHEMA: bytes(BOMB_BYTES)}, zipfile.ZIP_DEFLATED)

    assert "unpacks to 1 entries" in _refusal(bomb).detail
    assert _peak_bytes(bomb) < BOMB_BYTES / 8


def test_a_zip_bomb_with_a_forged_size_is_not_unpacked() -> None:
    bomb = _zipped({SCHEMA: bytes(BOMB_BYTES)}, zipfile.ZIP_DEFLATED)
    lying = bomb.replace(struct.pack("<L", BOMB_BYTES), struct.pack("<L", 100))

    assert _peak_bytes(lying) < BOMB_BYTES / 8


@pytest.mark.parametrize(("n_bytes", "too_many"), [(200, False), (201, True)])
def test_an_archive_that_unpacks_to_too_many_bytes_is_refused(n_bytes: int, too_many: bool) -> None:
    """The size of each entry is what its directory says, whatever the entry holds."""
    crowd = _zipped({str(index): b"x" for index in range(1000)})
    claimed = n_bytes * len(crowd) // 1000 + too_many
    lying = crowd.replace(struct.pack("<LL", 1, 1), struct.pack("<LL", 1, claimed))

    assert ("expected at most" in _refusal(lying).detail) is too_many


def test_a_boosting_of_many_small_trees_loads_quickly() -> None:
    """Its 22,000 arrays are small; only their bytes count."""
    fitted = GradientBoostingClassifier(n_estimators=5500, max_depth=1, subsample=0.5).fit(X[:20], Y[:20])
    data = dump_estimator(fitted)
    started = time.process_time()

    assert load_estimator(data).n_estimators == 5500
    assert time.process_time() - started < 17


def test_a_model_whose_parts_all_point_at_one_large_array_is_refused() -> None:
    """skops would read the array once for each part, before any type is checked."""
    large = io.BytesIO()
    np.save(large, np.zeros(10**6))
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy", "file": "a"}
    parts = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [node] * 1000}
    schema = parts | {"protocol": 2, "_skops_version": "0.16"}
    data = _zipped({SCHEMA: json.dumps(schema).encode(), "a": large.getvalue()})

    assert "share arrays" in _refusal(data).detail
    assert _peak_bytes(data) < 10 * len(data)


def test_a_compressed_model_file_loads() -> None:
    data = skops.io.dumps(RandomForestClassifier(5).fit(X, Y), compression=zipfile.ZIP_DEFLATED, compresslevel=9)

    assert load_estimator(data).n_estimators == 5


# Versions


def _of_version(data: bytes, version: str, class_name: str) -> bytes:
    """The archive with that version of scikit-learn noted for the estimator of that class."""

    def forge(entries: dict[str, bytes]) -> None:
        schema = json.loads(entries[SCHEMA])
        assert _set_version(schema, json.dumps(version), class_name)
        entries[SCHEMA] = json.dumps(schema).encode()

    return _rewritten(data, forge)


def _set_version(node: Any, version: str, class_name: str) -> bool:
    if isinstance(node, list):
        return any(_set_version(each, version, class_name) for each in node)
    if not isinstance(node, dict):
        return False
    if node.get("__class__") == class_name:
        written = node["content"]["content"]["_sklearn_version"]
        written["content"] = version
        del written["__id__"]  # equal strings share an id; without it, this string has its own value
        return True
    return any(_set_version(each, version, class_name) for each in node.values())


@pytest.mark.parametrize("version", ["1.5.2", "99.0"])
@pytest.mark.parametrize("class_name", ["Pipeline", "LogisticRegression"], ids=["outer", "inner"])
def test_a_model_of_another_scikit_learn_version_is_refused_with_both_versions(version: str, class_name: str) -> None:
    data = skops.io.dumps(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y))

    refusal = _refusal(_of_version(data, version, class_name))

    assert refusal.code == "version_mismatch"
    assert (class_name in refusal.detail, version in refusal.detail, sklearn.__version__ in refusal.detail) == (
        True,
    ) * 3


def test_a_model_of_the_installed_scikit_learn_version_loads() -> None:
    assert load_estimator(_of_version(LINEAR, sklearn.__version__, "LogisticRegression")).max_iter == 100


# Forged trees. They never predict here, because that would end the process.

Nodes = Any
FAR = 2**40


def _forge_tree(tree: Any, change: Callable[[Nodes], None]) -> None:
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    change(nodes)
    tree.__setstate__(state | {"nodes": nodes})


def _set(field: str, value: int, at: int = 0) -> Callable[[Nodes], None]:
    def change(nodes: Nodes) -> None:
        nodes[field][at] = value

    return change


def _back_to_the_root(nodes: Nodes) -> None:
    inner = np.flatnonzero(nodes["left_child"] != -1)[1]
    nodes["right_child"][inner] = 0


TREE_FORGERIES = {
    "left_child_far_away": _set("left_child", FAR),
    "right_child_far_away": _set("right_child", FAR),
    "child_just_behind_the_last": lambda nodes: _set("right_child", len(nodes))(nodes),
    "child_before_the_first": _set("left_child", -2),
    "only_one_child": _set("right_child", -1),
    "its_own_child": _set("left_child", 0),
    "back_to_the_root": _back_to_the_root,
    "feature_just_too_high": _set("feature", X.shape[1]),
    "feature_far_away": _set("feature", FAR),
    "feature_below_zero": _set("feature", -2),
}
HOLDERS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "tree": (DecisionTreeClassifier(max_depth=3), lambda fitted: fitted.tree_),
    "forest": (RandomForestClassifier(3), lambda fitted: fitted.estimators_[2].tree_),
    "regression_forest": (RandomForestRegressor(3), lambda fitted: fitted.estimators_[1].tree_),
    "extra_trees": (ExtraTreesClassifier(3), lambda fitted: fitted.estimators_[0].tree_),
    "boosting": (GradientBoostingClassifier(n_estimators=3), lambda fitted: fitted.estimators_[2, 0].tree_),
    "isolation": (IsolationForest(n_estimators=3), lambda fitted: fitted.estimators_[1].tree_),
    "ada": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=3)), lambda fitted: fitted.estimators_[0].tree_),
    "pipeline": (make_pipeline(StandardScaler(), DecisionTreeClassifier()), lambda fitted: fitted[1].tree_),
    "voting": (VotingClassifier([("t", DecisionTreeClassifier())]), lambda fitted: fitted.estimators_[0].tree_),
    "search": (
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [3]}, cv=2),
        lambda fitted: fitted.best_estimator_.tree_,
    ),
    "start_of_boosting": (
        GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier(max_depth=3)),
        lambda fitted: fitted.init_.tree_,
    ),
}


@pytest.mark.parametrize("forgery", TREE_FORGERIES)
def test_a_tree_with_indices_outside_its_arrays_is_refused(forgery: str) -> None:
    fitted = DecisionTreeClassifier().fit(X, Y)
    _forge_tree(fitted.tree_, TREE_FORGERIES[forgery])

    assert "Tree that is not sound" in _refusal(skops.io.dumps(fitted)).detail


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_forged_tree_is_found_in_every_kind_of_estimator(holder: str) -> None:
    estimator, tree_of = HOLDERS[holder]
    fitted = estimator.fit(X, Y)
    _forge_tree(tree_of(fitted), _set("left_child", FAR))

    assert "Tree that is not sound" in _refusal(skops.io.dumps(fitted)).detail


def _give_wider_tree(fitted: Any) -> None:
    wide = DecisionTreeClassifier(max_depth=2).fit(np.hstack([X, X]), Y)
    fitted.tree_ = wide.tree_


def _give_wider_member(fitted: Any) -> None:
    fitted.estimators_[0] = DecisionTreeClassifier(max_depth=2).fit(np.hstack([X, X]), Y)


def _give_wider_stage(fitted: Any) -> None:
    wide = GradientBoostingClassifier(n_estimators=2).fit(np.hstack([X, X]), Y)
    fitted.estimators_[0, 0] = wide.estimators_[0, 0]


@pytest.mark.parametrize(
    ("estimator", "widen"),
    [
        (DecisionTreeClassifier(), _give_wider_tree),
        (RandomForestClassifier(2), _give_wider_member),
        (GradientBoostingClassifier(n_estimators=2), _give_wider_stage),
    ],
    ids=["tree", "forest", "boosting"],
)
def test_a_tree_with_more_features_than_its_estimator_is_refused(estimator: Any, widen: Callable[[Any], None]) -> None:
    fitted = estimator.fit(X, Y)
    widen(fitted)

    assert "6 features inside, 3 outside" in _refusal(skops.io.dumps(fitted)).detail


def _hist(**options: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, random_state=0, **options).fit(X, Y)


def _forge_predictor(fitted: Any, change: Callable[[Nodes], None], stage: int = 1) -> None:
    predictor = fitted._predictors[stage][0]
    nodes = predictor.nodes.copy()
    change(nodes)
    predictor.nodes = nodes


@pytest.mark.parametrize(
    "change",
    [
        _set("left", 2**31),
        _set("right", 2**32 - 1),
        lambda nodes: _set("left", len(nodes))(nodes),
        _set("left", 0),
        _set("feature_idx", X.shape[1]),
        _set("feature_idx", 2**30),
        _set("feature_idx", -1),
    ],
    ids=["left", "right", "just_behind", "cycle", "feature", "far_feature", "feature_below_zero"],
)
def test_forged_nodes_of_histogram_boosting_are_refused(change: Callable[[Nodes], None]) -> None:
    fitted = _hist()
    _forge_predictor(fitted, change)

    assert "HistGradientBoostingClassifier that is not sound" in _refusal(skops.io.dumps(fitted)).detail


def test_a_split_on_missing_categories_is_refused() -> None:
    fitted = _hist(categorical_features=[0, 1, 2])
    _forge_predictor(fitted, _set("bitset_idx", 10_000))

    assert "a set of categories that does not exist" in _refusal(skops.io.dumps(fitted)).detail


def test_a_map_of_categorical_features_that_is_too_short_is_refused() -> None:
    """Compiled code looks features up in this map. A forged short map ends the process."""
    fitted = _hist(categorical_features=[0, 1, 2])
    fitted._bin_mapper.is_categorical_ = np.zeros(0, dtype=bool)

    assert "not sound" in _refusal(skops.io.dumps(fitted)).detail


def _neighbors(algorithm: str) -> Any:
    return KNeighborsClassifier(algorithm=algorithm, leaf_size=5).fit(X, Y)


def _forge_neighbors(fitted: Any, at: int, value: Any) -> None:
    state = list(fitted._tree.__getstate__())
    state[at] = value(state[at].copy()) if callable(value) else value
    fitted._tree.__setstate__(tuple(state))


def _with(field: str | None, value: int) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        (array if field is None else array[field])[1] = value
        return array

    return change


ORDER, NODES, BOUNDS, METRIC = 1, 2, 3, 11  # places in the state of a KDTree or BallTree


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
@pytest.mark.parametrize(
    ("at", "change"),
    [
        (ORDER, _with(None, FAR)),
        (ORDER, _with(None, len(X))),
        (ORDER, _with(None, -1)),
        (ORDER, lambda order: order[:-1]),
        (NODES, _with("idx_end", len(X) + 1)),
        (NODES, _with("idx_end", FAR)),
        (NODES, _with("idx_start", -1)),
        (NODES, lambda nodes: nodes[:2]),
        (BOUNDS, lambda bounds: np.ascontiguousarray(bounds[:, :1])),
        (BOUNDS, lambda bounds: np.ascontiguousarray(bounds[:, :, :1])),
    ],
    ids=[
        "row",
        "row_just_behind",
        "row_below_zero",
        "fewer_rows",
        "end",
        "far_end",
        "start",
        "fewer_nodes",
        "fewer_bounds",
        "narrow_bounds",
    ],
)
def test_forged_indices_of_a_neighbors_tree_are_refused(algorithm: str, at: int, change: Any) -> None:
    fitted = _neighbors(algorithm)
    _forge_neighbors(fitted, at, change)

    assert "Tree that is not sound" in _refusal(skops.io.dumps(fitted)).detail


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_a_neighbors_tree_without_a_metric_is_refused(algorithm: str) -> None:
    """Compiled code calls the metric's method unchecked, so None ends the process."""
    fitted = _neighbors(algorithm)
    _forge_neighbors(fitted, METRIC, None)

    assert "not sound" in _refusal(skops.io.dumps(fitted)).detail


def _count_below_zero(fitted: Any) -> None:
    fitted._n_support = np.array([-(10**8), 10**8 + len(fitted.support_)], dtype=np.int32)


def _point_far_away(fitted: Any) -> None:
    fitted.support_ = fitted.support_ + np.int32(10**8)


@pytest.mark.parametrize(
    ("kernel", "known", "forge"),
    [("rbf", X, _count_below_zero), ("precomputed", X @ X.T, _point_far_away)],
    ids=["counts", "rows"],
)
def test_support_vectors_that_do_not_exist_are_refused(kernel: str, known: Any, forge: Callable[[Any], None]) -> None:
    """libsvm walks through its arrays by these numbers; scikit-learn checks only the sum of the counts."""
    fitted = SVC(kernel=kernel).fit(known, Y)
    forge(fitted)

    assert _refusal(skops.io.dumps(fitted)).code == "model_refused"


def test_a_sparse_matrix_with_indices_outside_its_arrays_is_refused() -> None:
    fitted = SGDClassifier(random_state=0).fit(X, Y).sparsify()
    fitted.coef_ = csr_matrix(fitted.coef_)
    fitted.coef_.indices = fitted.coef_.indices + 10**8

    assert _refusal(skops.io.dumps(fitted)).code == "model_refused"


def _without_width(fitted: Any) -> None:
    del fitted.n_features_in_


def _without_members(fitted: Any) -> None:
    fitted.estimators_ = [None]


@pytest.mark.parametrize(
    ("estimator", "break_it"),
    [(DecisionTreeClassifier(), _without_width), (RandomForestClassifier(2), _without_members)],
    ids=["no_width", "no_members"],
)
def test_an_estimator_without_one_of_its_parts_is_refused(estimator: Any, break_it: Callable[[Any], None]) -> None:
    fitted = estimator.fit(X, Y)
    break_it(fitted)

    assert _refusal(skops.io.dumps(fitted)).code == "model_refused"


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(),
        DecisionTreeClassifier(max_depth=1),
        RandomForestClassifier(3, random_state=0),
        GradientBoostingClassifier(n_estimators=3),
        IsolationForest(n_estimators=3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingClassifier(max_iter=3, categorical_features=[0], min_samples_leaf=2),
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=80),
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=2),
        KNeighborsClassifier(algorithm="kd_tree", leaf_size=200),
        KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
        BaggingClassifier(DecisionTreeClassifier(), 3, max_features=2, random_state=0),
    ],
    ids=repr,
)
def test_sound_trees_load_and_predict_as_before(estimator: Any) -> None:
    fitted = estimator.fit(X, Y)

    loaded = load_estimator(skops.io.dumps(fitted))

    assert loaded.predict(X).tolist() == fitted.predict(X).tolist()


def test_a_tree_with_one_leaf_loads() -> None:
    fitted = DecisionTreeClassifier().fit(X, np.zeros(len(X), dtype=int))

    assert load_estimator(skops.io.dumps(fitted)).tree_.node_count == 1


# Threads


@pytest.mark.parametrize("stored", [-1, 4, 1, None])
def test_a_stored_n_jobs_is_reset(stored: int | None) -> None:
    fitted = RandomForestClassifier(2, n_jobs=stored).fit(X, Y)

    assert load_estimator(skops.io.dumps(fitted)).n_jobs is None


def test_n_jobs_is_reset_in_a_step_of_a_pipeline() -> None:
    steps = Pipeline([("scale", StandardScaler()), ("model", KNeighborsClassifier(n_jobs=-1))]).fit(X, Y)

    assert load_estimator(skops.io.dumps(steps))["model"].n_jobs is None


@pytest.mark.parametrize(
    ("estimator", "inner"),
    [
        (
            GridSearchCV(RandomForestClassifier(2, n_jobs=-1), {"max_depth": [2]}, cv=2),
            lambda fitted: fitted.best_estimator_,
        ),
        (VotingClassifier([("f", RandomForestClassifier(2, n_jobs=-1))]), lambda fitted: fitted.estimators_[0]),
        (BaggingClassifier(RandomForestClassifier(2, n_jobs=-1), 2), lambda fitted: fitted.estimators_[1]),
    ],
    ids=["search", "voting", "bagging"],
)
def test_n_jobs_is_reset_in_fitted_parts(estimator: Any, inner: Callable[[Any], Any]) -> None:
    loaded = load_estimator(skops.io.dumps(estimator.fit(X, Y)))

    assert inner(loaded).n_jobs is None


# The cache


def test_bytes_that_differ_from_the_manifest_are_a_checksum_mismatch(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    manifest = replace(service.manifest(1), sha256="0" * 64)

    with pytest.raises(ModelRefusedError) as refused:
        service.estimators.load(manifest)

    assert (refused.value.code, "0" * 64 in refused.value.detail) == ("checksum_mismatch", True)


def test_a_model_file_changed_on_disk_fails_the_prediction(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    stored = service.model_folder / "model" / "1" / "model.skops"
    stored.write_bytes(skops.io.dumps(LogisticRegression(C=0.1).fit(X, Y)))

    job = service.predicted(X, Method.PREDICT)

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "checksum_mismatch"


def test_a_version_is_loaded_once_in_a_process(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    manifest = service.manifest(1)
    first = service.estimators.load(manifest)
    (service.model_folder / "model" / "1" / "model.skops").unlink()

    assert service.estimators.load(manifest) is first


def test_the_least_recently_used_version_is_dropped_when_the_cache_is_full(service: LocalService) -> None:
    for slope in range(4):
        service.pushed(LinearRegression().fit(X, X[:, 0] * slope), X)
    manifests = [service.manifest(version) for version in range(1, 5)]
    sizes = [unpacked_bytes(service.models.file("model", each.version, "model.skops")) for each in manifests]
    estimators = EstimatorCache(service.models, sum(sizes[:3]))
    loaded = [estimators.load(manifest) for manifest in manifests[:3]]

    assert estimators.load(manifests[0]) is loaded[0]  # used again, so the second is the oldest now
    estimators.load(manifests[3])
    assert [estimators.load(manifests[place]) is loaded[place] for place in (0, 2, 1)] == [True, True, False]


def test_a_model_larger_than_the_cache_stays_until_the_next_one(service: LocalService) -> None:
    for slope in range(2):
        service.pushed(LinearRegression().fit(X, X[:, 0] * slope), X)
    first, second = service.manifest(1), service.manifest(2)
    estimators = EstimatorCache(service.models, max_bytes=1)

    loaded = estimators.load(first)
    assert estimators.load(first) is loaded
    estimators.load(second)
    assert estimators.load(first) is not loaded


def test_the_unpacked_size_includes_arrays_and_trees() -> None:
    forest = RandomForestClassifier(20).fit(X, Y)
    nodes = sum(tree.tree_.__getstate__()["nodes"].nbytes for tree in forest.estimators_)
    neighbors = KNeighborsClassifier().fit(np.zeros((1000, 50)), np.zeros(1000))

    assert unpacked_bytes(skops.io.dumps(forest)) > nodes
    assert unpacked_bytes(skops.io.dumps(neighbors)) == pytest.approx(1000 * 50 * 8, rel=0.1)
