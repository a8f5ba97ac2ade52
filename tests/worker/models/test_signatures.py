"""The signature that is learned from an estimator, and the round trip of rows through JSON."""

import json
from typing import Any

import dateutil.tz
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.manifold import TSNE
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.job import State
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.worker.model_fixtures import LocalService
from worker.models.frames import frame_of, rows_of
from worker.models.learning.same_answers import is_same_answer
from worker.models.signatures import learn_signature

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 24
TARGET = np.arange(N_ROWS) % 2
HOLED = np.where(np.arange(N_ROWS) % 5 == 0, np.nan, np.arange(N_ROWS) / 4)
WORDS = ["ant", "bee", "cat", "bee"] * (N_ROWS // 4)
FEATURES: dict[str, Any] = {
    "float64": pd.Series(HOLED),
    "float32": pd.Series(HOLED, dtype="float32"),
    "int64": pd.Series(np.arange(N_ROWS)),
    "uint8": pd.Series(np.arange(N_ROWS), dtype="uint8"),
    "bool": pd.Series(np.arange(N_ROWS) % 3 == 0),
    "str": pd.Series(WORDS, dtype="str"),
    "object": pd.Series(WORDS, dtype=object),
    "category": pd.Series(WORDS, dtype="category"),
    "Int64": pd.Series([None, *range(1, N_ROWS)], dtype="Int64"),
    "boolean": pd.Series([None, *[True, False] * (N_ROWS // 2)][:N_ROWS], dtype="boolean"),
}
TYPES = {
    "float64": ColumnType.NUMBER,
    "float32": ColumnType.NUMBER,
    "int64": ColumnType.INTEGER,
    "uint8": ColumnType.INTEGER,
    "bool": ColumnType.BOOLEAN,
    "str": ColumnType.STRING,
    "object": ColumnType.STRING,
    "category": ColumnType.STRING,
    "Int64": ColumnType.INTEGER,
    "boolean": ColumnType.BOOLEAN,
}
FRAME = pd.DataFrame(FEATURES)


class AlwaysOne(BaseEstimator):
    """Predicts 1 for every row."""

    def fit(self, X: Any, y: Any = None) -> "AlwaysOne":  # noqa: N803 - scikit-learn's name
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        return np.ones(len(X))


class OnlyPredictWorks(AlwaysOne):
    """Only `predict` works."""

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        raise RuntimeError("not with this solver")

    def transform(self, X: Any) -> Any:  # noqa: N803
        return np.ones((len(X) // 2, 2))


def _learned(estimator: Any, known: Any) -> Signature:
    return learn_signature(estimator.fit(known, TARGET[: len(known)]), known)[0]


def _nullable(estimator: Any, known: Any) -> dict[str, bool]:
    return {column.name: column.nullable for column in _learned(estimator, known).columns}


@pytest.mark.parametrize("dtype", FEATURES)
def test_a_column_has_the_type_of_its_dtype(dtype: str) -> None:
    (column,) = _learned(AlwaysOne(), FRAME[[dtype]]).columns

    assert (column.name, column.dtype, column.type) == (dtype, dtype, TYPES[dtype])


def test_columns_keep_their_order_from_the_fit() -> None:
    backwards = FRAME[FRAME.columns[::-1]]

    assert [column.name for column in _learned(AlwaysOne(), backwards).columns] == list(backwards.columns)


@pytest.mark.parametrize("dtype", FEATURES)
def test_an_estimator_that_accepts_everything_accepts_null(dtype: str) -> None:
    assert _nullable(AlwaysOne(), FRAME[[dtype]]) == {dtype: True}


@pytest.mark.parametrize("dtype", ["float64", "float32", "Int64", "int64", "uint8", "bool"])
def test_an_estimator_that_refuses_nan_makes_no_column_nullable(dtype: str) -> None:
    whole = FRAME[[dtype]].iloc[1:][FRAME[dtype].notna()]

    assert _nullable(LogisticRegression(), whole) == {dtype: False}


def test_an_imputed_column_is_nullable_and_another_one_is_not() -> None:
    frame = pd.DataFrame({"imputed": HOLED, "bare": np.arange(N_ROWS) / 3})
    columns = ColumnTransformer([("imputed", SimpleImputer(), ["imputed"]), ("bare", "passthrough", ["bare"])])

    assert _nullable(make_pipeline(columns, LinearRegression()), frame) == {"imputed": True, "bare": False}


def test_an_encoder_that_refuses_unknown_strings_makes_no_column_nullable() -> None:
    assert _nullable(make_pipeline(OneHotEncoder(), LogisticRegression()), FRAME[["str"]]) == {"str": False}


def test_a_category_column_has_its_categories_in_their_order() -> None:
    frame = pd.DataFrame({"size": pd.Categorical(["s", "l"] * 12, categories=["s", "m", "l"])})

    assert _learned(AlwaysOne(), frame).columns[0].categories == ("s", "m", "l")


@pytest.mark.parametrize(
    ("values", "kind"), [([3, 1] * 12, ColumnType.INTEGER), ([True, False] * 12, ColumnType.BOOLEAN)]
)
def test_categories_may_be_integers_or_booleans(values: list[Any], kind: ColumnType) -> None:
    (column,) = _learned(AlwaysOne(), pd.DataFrame({"c": pd.Categorical(values)})).columns

    assert (column.type, column.categories) == (kind, tuple(sorted(set(values))))
    assert {type(value) for value in column.categories or ()} == {type(values[0])}


def test_an_array_has_columns_named_by_position_with_its_dtype() -> None:
    signature = _learned(LinearRegression(), np.arange(48, dtype="float32").reshape(24, 2))

    assert signature.layout is Layout.ARRAY
    assert signature.columns == tuple(
        Column(f"x{i}", ColumnType.NUMBER, nullable=False, dtype="float32") for i in (0, 1)
    )


@pytest.mark.parametrize(("estimator", "nullable"), [(HistGradientBoostingClassifier(), True), (SVC(), False)])
def test_an_array_of_integers_is_nullable_if_the_estimator_answers_nan(estimator: Any, nullable: bool) -> None:
    assert _nullable(estimator, np.arange(48).reshape(24, 2)) == {"x0": nullable, "x1": nullable}


def test_an_array_of_strings_is_not_nullable_because_numpy_has_no_missing_string() -> None:
    encoder = OneHotEncoder(handle_unknown="ignore")

    assert _nullable(make_pipeline(encoder, LogisticRegression()), np.array(WORDS).reshape(-1, 1)) == {"x0": False}


def test_a_pushed_array_of_objects_with_nan_is_imputed_like_in_this_process(service: LocalService) -> None:
    words = np.array(WORDS, dtype=object).reshape(-1, 1)
    words[::5] = np.nan
    encoder = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    estimator = make_pipeline(encoder, LogisticRegression()).fit(words, TARGET)

    pushed = service.pushed(estimator, words)

    assert pushed.state is State.SUCCEEDED, pushed.failure


@pytest.mark.parametrize(
    ("estimator", "methods"),
    [
        (LinearRegression(), (Method.PREDICT,)),
        (LogisticRegression(), (Method.PREDICT, Method.PREDICT_PROBA, Method.DECISION_FUNCTION)),
        (SVC(), (Method.PREDICT, Method.DECISION_FUNCTION)),
        (KMeans(2, random_state=0), (Method.PREDICT, Method.TRANSFORM)),
        (StandardScaler(), (Method.TRANSFORM,)),
        (PCA(1), (Method.TRANSFORM, Method.SCORE_SAMPLES)),
        (KernelDensity(), (Method.SCORE_SAMPLES,)),
        (OnlyPredictWorks(), (Method.PREDICT,)),
    ],
    ids=lambda part: type(part).__name__ if isinstance(part, BaseEstimator) else "",
)
def test_methods_are_those_that_return_one_output_for_each_row(estimator: Any, methods: tuple[Method, ...]) -> None:
    assert _learned(estimator, np.arange(48.0).reshape(24, 2) % 7).methods == methods


@pytest.mark.parametrize("estimator", [TSNE(perplexity=5, max_iter=250), FunctionTransformer(np.linalg.inv)])
def test_an_estimator_without_a_usable_method_is_refused(estimator: Any) -> None:
    known = np.arange(48.0).reshape(24, 2)

    with pytest.raises(ModelRefusedError) as refused:
        learn_signature(estimator.fit(known), known)

    assert refused.value.code == "no_usable_method"


@pytest.mark.parametrize(
    "values",
    [
        pd.date_range("2024-01-01", periods=N_ROWS, tz=dateutil.tz.gettz("Europe/Berlin")),
        pd.Series([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01", tz="UTC")] * (N_ROWS // 2), dtype=object),
        pd.interval_range(0, N_ROWS),
        pd.period_range("2024-01", periods=N_ROWS, freq="M"),
        pd.Series(["a", 1] * (N_ROWS // 2), dtype=object),
        pd.Series([["a"], ["b"]] * (N_ROWS // 2), dtype=object),
        pd.Series(np.arange(N_ROWS) * 1j),
        pd.Series([pd.Timestamp("2024-01-01"), "a"] * (N_ROWS // 2), dtype=object),
        pd.Categorical(pd.period_range("2024-01", periods=N_ROWS, freq="M")),
    ],
    ids=["local_zone", "zoned", "interval", "period", "mixed", "lists", "complex", "stamps", "periods_as_categories"],
)
def test_a_column_that_json_cannot_carry_is_refused_with_its_name(values: Any) -> None:
    with pytest.raises(ModelRefusedError, match="'when'") as refused:
        learn_signature(AlwaysOne(), pd.DataFrame({"fine": np.arange(N_ROWS), "when": values}))

    assert refused.value.code == "unsupported_column"


def test_categories_may_have_a_fraction() -> None:
    frame = pd.DataFrame({"width": pd.Categorical([0.5, 1.5] * 12)})

    (column,) = _learned(AlwaysOne(), frame).columns

    assert (column.type, column.categories, column.inner) == (ColumnType.NUMBER, (0.5, 1.5), "float64")


def test_an_estimator_with_random_outputs_is_refused() -> None:
    known = np.arange(48.0).reshape(24, 2)
    chance = DummyClassifier(strategy="stratified").fit(known, TARGET)

    with pytest.raises(ModelRefusedError) as refused:
        learn_signature(chance, known)

    assert refused.value.code == "not_reproducible"


def test_golden_rows_are_the_first_twenty_with_the_output_of_each_method() -> None:
    known = FRAME[["float64", "str"]]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer([("words", encoder, ["str"])], remainder="passthrough")
    estimator = make_pipeline(columns, HistGradientBoostingClassifier(random_state=0)).fit(known, TARGET)

    signature, golden = learn_signature(estimator, known)

    assert signature.example == tuple(golden.rows[:3])
    assert golden.rows[0] == {"float64": None, "str": "ant"}
    assert golden.outputs["predict"] == estimator.predict(known[:20]).tolist()
    assert is_same_answer(golden.outputs["predict_proba"], estimator.predict_proba(known[:20]).tolist())


def test_one_row_is_enough_to_learn_from() -> None:
    assert len(learn_signature(AlwaysOne(), FRAME[:1])[1].rows) == 1


ROUND_TRIPS: dict[str, Any] = {
    "float64": pd.Series([0.1, -1e300, np.nan, 5e-324]),
    "float32": pd.Series([0.1, np.nan, 3.4e38, 1e-45], dtype="float32"),
    "float16": pd.Series([0.1, np.nan, 65504, 6e-8], dtype="float16"),
    "int64": pd.Series([-(2**63), 2**63 - 1, 2**53 + 1, 0]),
    "int8": pd.Series([-128, 127, 0, 1], dtype="int8"),
    "uint64": pd.Series([0, 2**63 - 1, 2**53 + 1, 1], dtype="uint64"),
    "bool": pd.Series([True, False, True, True]),
    "str": pd.Series(["é", "", None, "NaN"], dtype="str"),
    "object": pd.Series(["é", "", np.nan, "None"], dtype=object),
    "objects_of_truth": pd.Series([True, False, np.nan, True], dtype=object),
    "category": pd.Series(pd.Categorical(["b", None, "a", "b"], categories=["c", "b", "a"])),
    "numbered_category": pd.Series(pd.Categorical([3, None, 1, 3], categories=[1, 2, 3])),
    "true_category": pd.Series(pd.Categorical([True, None, False, True])),
    "Int64": pd.Series([2**53 + 1, None, -1, 0], dtype="Int64"),
    "Float64": pd.Series([0.1, None, 1e300, 0], dtype="Float64"),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
}


@pytest.mark.parametrize("kind", ROUND_TRIPS)
@pytest.mark.parametrize("has_others", [False, True], ids=["alone", "with_others"])
def test_a_frame_is_unchanged_after_a_round_trip_through_json(kind: str, has_others: bool) -> None:
    frame = pd.DataFrame(
        {"c": ROUND_TRIPS[kind]} | ({"x": [1.5, 2.5, np.nan, 0], "w": list("abcd")} if has_others else {})
    )
    signature = _learned(AlwaysOne(), frame)

    sent = json.loads(json.dumps(rows_of(signature, frame), allow_nan=False))

    pd.testing.assert_frame_equal(frame_of(signature, sent), frame, check_exact=True)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, np.nan], [1e300, -5e-324]]),
        np.array([[0.1, np.nan], [3.4e38, 1e-45]], dtype="float32"),
        np.array([[2**53 + 1, -(2**63)], [0, 1]]),
        np.array([[True, False], [False, False]]),
        np.array([["a", "é"], ["", "None"]]),
        np.array([["a", np.nan], ["", "None"]], dtype=object),
    ],
    ids=lambda array: array.dtype.name,
)
def test_an_array_is_unchanged_after_a_round_trip_through_json(array: Any) -> None:
    signature = _learned(AlwaysOne(), array)

    sent = json.loads(json.dumps(rows_of(signature, array), allow_nan=False))

    rebuilt = frame_of(signature, sent)
    assert rebuilt.dtype == array.dtype
    assert [[repr(cell) for cell in row] for row in rebuilt.tolist()] == [
        [repr(cell) for cell in row] for row in array.tolist()
    ]


@pytest.mark.parametrize("layout", [Layout.FRAME, Layout.ARRAY])
def test_no_rows_give_an_empty_frame_with_all_columns(layout: Layout) -> None:
    columns = tuple(Column(name, ColumnType.NUMBER, nullable=False, dtype="float64") for name in ("x0", "x1"))

    assert frame_of(Signature(layout, columns, (Method.PREDICT,)), []).shape == (0, 2)


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "c"], False),
        ([1.0, 2.0], [1.0 + 1e-12, 2.0], True),
        ([1.0, 2.0], [1.0 + 1e-6, 2.0], False),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0, 3e-10], [1.0, 5e-10], True),
        (None, None, True),
        (None, [1.0], False),
        ([1.0], None, False),
        ([1, 2], [1, 2, 3], False),
        ([[1.0, 2.0]], [[1.0, 2.0]], True),
        ([1], [True], True),
        ([[[0.5, 0.5], [0.1, 0.2, 0.7]]] * 2, [[[0.5, 0.5], [0.1, 0.2, 0.7]]] * 2, True),
        ([[[0.5, 0.5], [0.1, 0.2, 0.7]]] * 2, [[[0.5, 0.5], [0.1, 0.3, 0.6]]] * 2, False),
        ([[[0.5, 0.5], [0.1, 0.2, 0.7]]] * 2, [[[0.5, 0.5]]] * 2, False),
        ([[[0.5, 0.5], [0.1, 0.2, 0.7]]] * 2, [[[0.5, 0.5], [0.1, 0.9]]] * 2, False),
    ],
)
def test_outputs_are_the_same_if_labels_are_identical_and_floats_close(
    found: list[Any] | None, expected: list[Any] | None, same: bool
) -> None:
    assert is_same_answer(found, expected) is same
