"""A row has one prediction: alone, in any batch, and in this process on a frame that a user would build."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from examples.titanic.train import COLUMNS, NUMBERS, TARGET, hist, logistic, passengers
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.worker.model_fixtures import LocalService, plain_outputs
from worker.models.frames import frame_of
from worker.models.inference import infer_rows

pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class ServedVersion:
    """A pushed version as the worker loaded it, and the original estimator of its user."""

    name: str
    method: Method
    original: Any
    loaded: Any
    signature: Signature
    known: Any

    def answer(self, rows: list[Any]) -> list[Any]:
        return infer_rows(self.loaded, self.signature, self.method, json.loads(json.dumps(rows)))

    def answer_in_process(self, rows: list[Any]) -> Any:
        if isinstance(self.known, np.ndarray):
            holed = [[np.nan if value is None else value for value in row] for row in rows]
            return plain_outputs(self.original, self.method, np.array(holed, dtype=self.known.dtype))
        frame = pd.DataFrame(rows, columns=self.known.columns)
        dtypes = {name: _with_hole(dtype, frame[name]) for name, dtype in self.known.dtypes.items()}
        frame = frame.astype(dtypes)
        return plain_outputs(self.original, self.method, frame.where(frame.notna(), np.nan).astype(dtypes))


def _with_hole(dtype: Any, values: Any) -> Any:
    """The dtype that pandas gives a column with these values."""
    if values.notna().all() or dtype not in ("int64", "bool"):
        return dtype
    return "float64" if dtype == "int64" else "object"


def _titanic() -> tuple[pd.DataFrame, Any]:
    rows = passengers().iloc[::3]
    return rows[COLUMNS], rows[TARGET].to_numpy()


def _objects() -> tuple[Any, Any, Any]:
    """Strings as objects, as in pandas before version 3."""
    features, target = _titanic()
    words = features[["sex", "embarked"]].astype(object)
    words = words.where(words.notna(), np.nan).astype(object)
    encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return make_pipeline(encoder, LogisticRegression()), words, target


def _categories() -> tuple[Any, Any, Any]:
    features, target = _titanic()
    frame = features[["age", "fare", "sibsp"]].assign(
        embarked=features["embarked"].astype("category"),
        pclass=features["pclass"].astype("category"),
        alone=features["sibsp"].eq(0),
        parch=features["parch"].astype("Int64"),
    )
    return HistGradientBoostingClassifier(max_iter=10, random_state=0), frame, target


def _numbers(estimator: Any, *, with_holes: bool = False) -> tuple[Any, Any, Any]:
    features, target = _titanic()
    numbers = features[NUMBERS] if with_holes else features[NUMBERS].fillna(30.0)
    return estimator, numbers.to_numpy(dtype="float64"), target


def _scaled() -> tuple[Any, Any, Any]:
    features, target = _titanic()
    numbers = features[NUMBERS].fillna(30.0).astype({"fare": "float32"})
    return make_pipeline(StandardScaler(), PCA(n_components=2, random_state=0)), numbers, target


MODELS: dict[str, tuple[Callable[[], tuple[Any, Any, Any]], Method]] = {
    "logistic": (lambda: (logistic(), *_titanic()), Method.PREDICT_PROBA),
    "hist": (lambda: (hist(), *_titanic()), Method.PREDICT_PROBA),
    "categories": (_categories, Method.PREDICT_PROBA),
    "objects": (_objects, Method.PREDICT_PROBA),
    "forest": (
        lambda: _numbers(RandomForestClassifier(n_estimators=10, random_state=0), with_holes=True),
        Method.PREDICT,
    ),
    "neighbors": (lambda: _numbers(KNeighborsClassifier()), Method.PREDICT_PROBA),
    "vectors": (lambda: _numbers(make_pipeline(StandardScaler(), SVC())), Method.DECISION_FUNCTION),
    "scaled": (_scaled, Method.TRANSFORM),
    "isolation": (lambda: _numbers(IsolationForest(n_estimators=10, random_state=0)), Method.SCORE_SAMPLES),
}


@pytest.fixture(scope="module", params=MODELS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ServedVersion:
    make, method = MODELS[request.param]
    estimator, known, target = make()
    service = LocalService(tmp_path_factory.mktemp(request.param))
    service.result(service.pushed(estimator.fit(known, target), known))
    manifest = service.manifest(1)
    return ServedVersion(request.param, method, estimator, service.estimators.load(manifest), manifest.signature, known)


def _cells(column: Column, known: Any) -> st.SearchStrategy[Any]:
    """Valid JSON values for a column, including strings that the estimator has never seen."""
    if column.categories is not None:
        values: st.SearchStrategy[Any] = st.sampled_from(column.categories)
    elif column.type is ColumnType.BOOLEAN:
        values = st.booleans()
    elif column.type is ColumnType.INTEGER:
        values = st.integers(0, 100)
    elif column.type is ColumnType.NUMBER:
        values = st.floats(-1e3, 1e3, width=32) | st.integers(-50, 600)
    else:
        values = st.sampled_from([*known[column.name].dropna().unique().tolist(), "never seen", ""])
    return values | st.none() if column.nullable else values


def _rows(signature: Signature, known: Any) -> st.SearchStrategy[Any]:
    cells = {column.name: _cells(column, known) for column in signature.columns}
    return st.fixed_dictionaries(cells) if signature.layout is Layout.FRAME else st.tuples(*cells.values()).map(list)


def _cut(rows: list[Any], cuts: list[int]) -> list[list[Any]]:
    at = [0, *sorted({cut for cut in cuts if 0 < cut < len(rows)}), len(rows)]
    return [rows[start:end] for start, end in itertools.pairwise(at)]


def _assert_same(found: Any, expected: Any) -> None:
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    else:
        assert found.tolist() == expected.tolist()


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_row_has_one_prediction_alone_in_any_batch_and_in_this_process(
    served: ServedVersion, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(_rows(served.signature, served.known), min_size=1, max_size=12))
    cuts = data.draw(st.lists(st.integers(1, 11), max_size=4))

    together = served.answer(rows)
    alone = [served.answer([row])[0] for row in rows]
    in_batches = [answer for batch in _cut(rows, cuts) for answer in served.answer(batch)]

    _assert_same(alone, together)
    _assert_same(in_batches, together)
    _assert_same(together, served.answer_in_process(rows))


TAKES_NULL = {
    "logistic": {"pclass", "sex", "age", "sibsp", "parch", "fare", "embarked"},
    "hist": {"pclass", "sex", "age", "sibsp", "parch", "fare", "embarked"},
    "categories": {"age", "fare", "sibsp", "embarked", "pclass", "alone", "parch"},
    "objects": {"sex", "embarked"},
    "forest": {"x0", "x1", "x2", "x3"},
    "neighbors": set(),
    "vectors": set(),
    "scaled": set(),
    "isolation": {"x0", "x1", "x2", "x3"},
}


def test_the_models_of_these_tests_accept_nulls_like_their_estimators(served: ServedVersion) -> None:
    assert {column.name for column in served.signature.columns if column.nullable} == TAKES_NULL[served.name]


NULLABLE = ("float64", "float32", "object", "str", "category", "Int64", "Float64", "boolean")


@pytest.mark.parametrize("dtype", NULLABLE)
@pytest.mark.parametrize("n_rows", [1, 3])
def test_null_is_a_missing_value_of_the_column_and_never_none(dtype: str, n_rows: int) -> None:
    categories = ("a", "b") if dtype == "category" else None
    column = Column("c", ColumnType.STRING, nullable=True, dtype=dtype, categories=categories)

    frame = frame_of(Signature(Layout.FRAME, (column,), (Method.PREDICT,)), [{"c": None}] * n_rows)

    cells = frame["c"].to_numpy(dtype=object)
    assert str(frame["c"].dtype) == dtype
    assert [cell is not None and pd.isna(cell) for cell in cells] == [True] * n_rows


@pytest.mark.parametrize("dtype", ["float64", "float32", "object"])
def test_null_in_an_array_is_nan_and_never_none(dtype: str) -> None:
    columns = tuple(Column(name, ColumnType.NUMBER, nullable=True, dtype=dtype) for name in ("x0", "x1"))

    array = frame_of(Signature(Layout.ARRAY, columns, (Method.PREDICT,)), [[None, 1.0]])

    assert array.dtype == np.dtype(dtype)
    assert isinstance(array[0, 0], float | np.floating)
    assert np.isnan(array[0, 0])
