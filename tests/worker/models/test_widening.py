"""Integer and boolean columns take a missing value where the estimator answers the column that pandas widens for it."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from queuecast.client.row_formats.table_files import open_table
from queuecast.domain.job import State
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method, TrainingWork
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService, assert_same_answers
from worker.models.columns.widening import split_frame
from worker.models.frames import frame_of
from worker.models.inference import infer_rows
from worker.models.signatures import learn_signature

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 60
NUMBERS = np.arange(N_ROWS)
TARGET = np.where(NUMBERS * 7 % 5 > 1, "yes", "no")
ROWS = pd.DataFrame(
    {
        "age": NUMBERS / 3,
        "count": NUMBERS % 9,
        "small": (NUMBERS % 5).astype("uint8"),
        "alone": NUMBERS % 3 == 0,
    }
)


def notebook_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The frame that pandas builds from the rows: a hole turns integers to float64 and booleans to objects."""
    return pd.DataFrame([{name: np.nan if value is None else value for name, value in row.items()} for row in rows])


def with_holes(*names: str) -> list[dict[str, Any]]:
    """Every row has its values in turn with a hole in one of the columns, in all of them, and without a hole."""
    rows = ROWS.to_dict("records")
    choices: list[tuple[str, ...]] = [(), *((name,) for name in names), names]
    return [row | dict.fromkeys(choices[at % len(choices)]) for at, row in enumerate(rows)]


def test_pandas_widens_these_columns() -> None:
    frame = notebook_frame([{"a": 1, "b": True}, {"a": None, "b": None}])

    assert frame.dtypes.astype(str).to_dict() == {"a": "float64", "b": "object"}
    read = pd.read_csv(io.StringIO("a,b\n1,True\n,\n"))
    assert read.dtypes.astype(str).to_dict() == {"a": "float64", "b": "object"}


ESTIMATORS = {
    "boosting": HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=2, random_state=0),
    "forest": RandomForestClassifier(n_estimators=10, random_state=0),
    "imputed": make_pipeline(
        ColumnTransformer(
            [
                ("numbers", SimpleImputer(strategy="median"), ["age", "count", "small"]),
                ("words", OneHotEncoder(handle_unknown="ignore"), ["alone"]),
            ]
        ),
        LogisticRegression(),
    ),
    "encoded": make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_format_answers_rows_with_holes_as_this_process(service: LocalService, tmp_path: Path, name: str) -> None:
    estimator = ESTIMATORS[name].fit(ROWS, TARGET)
    rows = with_holes("count", "small", "alone")
    expected = np.vstack([estimator.predict_proba(notebook_frame([row, rows[0]])[:1]) for row in rows])

    ended = service.pushed(estimator, ROWS)

    assert ended.state is State.SUCCEEDED, ended.failure
    columns = service.manifest(1).signature.columns
    assert [(column.dtype, column.nullable) for column in columns] == [
        *(("float64", True), ("int64", True), ("uint8", True), ("bool", True))
    ]
    for answers in answers_by_format(service, notebook_frame(rows), Method.PREDICT_PROBA, tmp_path, 1).values():
        assert_same_answers(answers, expected)
    alone = [service.answers([row], Method.PREDICT_PROBA)[0] for row in rows[:10]]
    assert_same_answers(alone, expected[:10])


def test_a_batch_answers_rows_with_holes_in_their_order(service: LocalService) -> None:
    estimator = ESTIMATORS["imputed"].fit(ROWS, TARGET)
    service.result(service.pushed(estimator, ROWS))
    signature = service.manifest(1).signature
    rows = with_holes("count", "alone")

    together = infer_rows(estimator, signature, Method.PREDICT_PROBA, rows)

    alone = [infer_rows(estimator, signature, Method.PREDICT_PROBA, [row])[0] for row in rows]
    assert_same_answers(together, alone)


class DtypeEcho(BaseEstimator):
    """Answers with the value of the first column, after a call that a test can look at."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    def fit(self, X: Any, y: Any = None) -> "DtypeEcho":  # noqa: N803 - scikit-learn's name
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        self.seen.append(X.dtypes.astype(str).to_dict())
        return np.array([str(value) for value in X.iloc[:, 0]], dtype=object)


class FloatSensitive(BaseEstimator):
    """Answers a wide column otherwise than the column of the fit."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        values = X["count"]
        return values.notna().to_numpy() * (2 if values.dtype == "float64" else 1)


def signature_of(*columns: Column) -> Signature:
    return Signature(Layout.FRAME, columns, (Method.PREDICT,))


COUNT = Column("count", ColumnType.INTEGER, nullable=True, dtype="int64")
ALONE = Column("alone", ColumnType.BOOLEAN, nullable=True, dtype="bool")


def test_a_row_without_a_hole_keeps_the_dtype_and_the_exact_value_of_the_fit() -> None:
    echo, large = DtypeEcho(), 2**60 + 1
    rows = [{"count": large, "alone": True}, {"count": None, "alone": True}, {"count": 7, "alone": None}]

    answers = infer_rows(echo, signature_of(COUNT, ALONE), Method.PREDICT, rows)

    assert answers == [str(large), "nan", "7.0"]
    assert echo.seen == [{"count": "int64", "alone": "bool"}, {"count": "float64", "alone": "object"}]


def test_rows_without_holes_are_one_call() -> None:
    echo = DtypeEcho()

    infer_rows(echo, signature_of(COUNT, ALONE), Method.PREDICT, [{"count": 1, "alone": False}] * 3)

    assert echo.seen == [{"count": "int64", "alone": "bool"}]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"])
def test_each_dtype_is_widened_as_pandas_does(dtype: str) -> None:
    kind = ColumnType.BOOLEAN if dtype == "bool" else ColumnType.INTEGER
    signature = signature_of(Column("c", kind, nullable=True, dtype=dtype), COUNT)
    values = [True, None, False] if dtype == "bool" else [1, None, 0]

    (_, whole), (positions, wide) = split_frame(signature, frame_of(signature, [{"c": v, "count": 4} for v in values]))

    assert whole.dtypes.astype(str).to_dict() == {"c": dtype, "count": "int64"}
    assert positions.tolist() == [1]
    assert wide.dtypes.astype(str).to_dict() == {"c": "object" if dtype == "bool" else "float64", "count": "float64"}
    assert wide["c"].isna().tolist() == [True]


def test_a_column_whose_wide_form_has_other_answers_takes_no_missing_value() -> None:
    signature, _ = learn_signature(FloatSensitive(), ROWS)

    assert {column.name: column.nullable for column in signature.columns} == {
        "age": True,
        "count": False,
        "small": True,
        "alone": True,
    }


class NoneSensitive(BaseEstimator):
    """Answers None otherwise than NaN."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return np.array([str(value) if value is None else "a value" for value in X["alone"]], dtype=object)


def test_a_boolean_column_takes_no_missing_value_if_none_and_nan_have_other_answers() -> None:
    signature, _ = learn_signature(NoneSensitive(), ROWS)

    assert [column.nullable for column in signature.columns] == [True, True, True, False]


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_an_array_takes_a_missing_value_as_numpy_widens_it(service: LocalService, dtype: str) -> None:
    array = ROWS[["count", "small"]].to_numpy().astype(dtype)
    estimator = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=2, random_state=0).fit(array, TARGET)
    service.result(service.pushed(estimator, array))
    sent = [[None, row[1]] if at % 2 else row for at, row in enumerate(array.tolist())]
    wide = np.array([[np.nan if value is None else value for value in row] for row in sent])

    assert wide.dtype == "float64"
    assert_same_answers(service.answers(sent, Method.PREDICT_PROBA), estimator.predict_proba(wide))


def test_a_retraining_on_rows_with_holes_is_a_fit_on_the_wide_columns(service: LocalService) -> None:
    champion = ESTIMATORS["imputed"].fit(ROWS, TARGET)
    service.result(service.pushed(champion, ROWS, ("y",)))
    frame = notebook_frame(with_holes("count", "alone")).assign(y=TARGET)
    with open_table(frame) as table:
        stored = service.stored(table.content.read(), table.media_type, table.name)

    result = service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("y",))))

    assert result["challenger"]["score"] is not None
    columns = {column.name: (column.dtype, column.nullable) for column in service.manifest(2).signature.columns}
    assert columns == {
        "age": ("float64", True),
        "count": ("float64", True),
        "small": ("uint8", True),
        "alone": ("object", True),
    }
    rows = json.loads(json.dumps(with_holes("count", "alone")))
    assert service.answers(rows, Method.PREDICT, version=2)[0] in ("yes", "no")


def test_a_signature_of_an_older_version_takes_no_missing_value() -> None:
    old = Column("count", ColumnType.INTEGER, nullable=False, dtype="int64")

    assert (old.widens, COUNT.widens) == (False, True)
    assert not Column("n", ColumnType.INTEGER, nullable=True, dtype="Int64").widens
