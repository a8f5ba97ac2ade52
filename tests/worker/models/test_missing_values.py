"""A missing value is to the estimator what it was at the fit, in every format, and after a retraining."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from queuecast.client.row_formats.json_rows import example_table
from queuecast.client.row_formats.table_files import open_table
from queuecast.domain.job import State
from queuecast.domain.signature import Column, ColumnType, Missing
from queuecast.domain.work import Method, TrainingWork
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService, assert_same_answers, plain_outputs

pytestmark = pytest.mark.filterwarnings("ignore")

ENCODERS = {
    "one_hot": OneHotEncoder(handle_unknown="ignore"),
    "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    "in_a_pipeline": make_pipeline(
        ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), [0])]), LogisticRegression()
    ),
}
MISSING = {"None": None, "nan": np.nan}


def rows_with(missing: Any, *, as_array: bool) -> Any:
    frame = pd.DataFrame({"a": pd.Series([missing, "x", "y", missing] * 10, dtype=object)})
    return frame.to_numpy() if as_array else frame


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("as_array", [False, True], ids=["frame", "array"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_format_answers_a_missing_value_as_in_this_process(
    service: LocalService, tmp_path: Path, encoder: str, as_array: bool, missing: str
) -> None:
    rows = rows_with(MISSING[missing], as_array=as_array)
    estimator = ENCODERS[encoder].fit(rows, [0, 1, 0, 1] * 10)
    method = Method.PREDICT_PROBA if hasattr(estimator, "predict_proba") else Method.TRANSFORM

    ended = service.pushed(estimator, rows)

    assert ended.state is State.SUCCEEDED, ended.failure
    (column,) = service.manifest(1).signature.columns
    assert (column.missing, column.nullable) == (Missing(missing), True)
    for found in answers_by_format(service, rows, method, tmp_path, 1).values():
        assert_same_answers(found, plain_outputs(estimator, method, rows))


@pytest.mark.parametrize("missing", MISSING)
def test_a_retraining_keeps_what_a_missing_value_is(service: LocalService, tmp_path: Path, missing: str) -> None:
    rows = rows_with(MISSING[missing], as_array=False).assign(n=np.arange(40.0))
    target = np.where(rows["a"].isna(), "missing", "word")
    words = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), ["a"])])
    champion = make_pipeline(words, LogisticRegression()).fit(rows, target)
    service.result(service.pushed(champion, rows, ("y",)))
    with open_table(rows.assign(y=target)) as table:
        stored = service.stored(table.content.read(), table.media_type, table.name)

    service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("y",))))

    assert service.manifest(2).signature.columns == service.manifest(1).signature.columns
    for found in answers_by_format(service, rows, Method.PREDICT, tmp_path, 2).values():
        assert found == target.tolist()


def test_an_example_without_a_missing_value_is_completed_by_the_encoder(service: LocalService) -> None:
    rows = rows_with(None, as_array=False)
    encoder = OneHotEncoder(handle_unknown="ignore").fit(rows)

    service.result(service.pushed(encoder, rows.dropna()))

    (column,) = service.manifest(1).signature.columns
    assert (column.dtype, column.missing) == ("object", Missing.NONE)
    assert service.answers([{"a": None}], Method.TRANSFORM) == encoder.transform(rows[:1]).toarray().tolist()


def test_a_csv_example_is_completed_by_the_encoder(service: LocalService) -> None:
    """CSV has one missing value, which pandas reads as NaN."""
    rows = rows_with(None, as_array=False)
    encoder = OneHotEncoder(handle_unknown="ignore").fit(rows)

    service.result(service.pushed(encoder, rows.to_csv(index=False).encode()))

    assert service.manifest(1).signature.columns[0].missing is Missing.NONE
    assert service.answers(rows, Method.TRANSFORM) == encoder.transform(rows).toarray().tolist()


def test_a_missing_value_after_the_example_is_known(service: LocalService) -> None:
    rows = pd.DataFrame({"a": pd.Series(["x", "y"] * 300 + [None], dtype=object)})
    imputer = SimpleImputer(missing_values=None, strategy="constant", fill_value="gone").fit(rows)

    service.result(service.pushed(imputer, rows))

    assert service.manifest(1).signature.columns[0].missing is Missing.NONE
    assert service.answers([{"a": None}, {"a": "x"}], Method.TRANSFORM) == [["gone"], ["x"]]


@pytest.mark.parametrize("as_array", [False, True], ids=["frame", "array"])
def test_a_column_with_none_and_nan_is_refused_if_they_have_different_answers(
    service: LocalService, as_array: bool
) -> None:
    rows: Any = pd.DataFrame({"a": pd.Series([None, "x", np.nan, "y"] * 10, dtype=object)})
    rows = rows.to_numpy() if as_array else rows

    ended = service.pushed(OneHotEncoder(handle_unknown="ignore").fit(rows), rows)

    assert ended.failure is not None
    assert ended.failure.code == "unsupported_column"
    name = "x0" if as_array else "a"
    expected = f"column {name!r} holds nan and None, which an encoder learned as different categories"
    assert expected in ended.failure.detail


def test_a_column_is_refused_if_an_encoder_learned_none_and_nan_as_two_categories(service: LocalService) -> None:
    """The tree asks for neither, so all answers are the same, but a retraining would have one column less."""
    rows = pd.DataFrame({"a": pd.Series([None, "x", np.nan, "y"] * 10, dtype=object)})
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    estimator = make_pipeline(encoder, DecisionTreeClassifier(max_depth=1)).fit(rows, rows["a"] == "x")
    assert estimator.predict(rows[:1]).tolist() == estimator.predict(rows[2:3]).tolist()

    ended = service.pushed(estimator, rows)

    assert ended.failure is not None
    assert ended.failure.code == "unsupported_column"
    assert "column 'a' holds nan and None, which an encoder learned as different categories" in ended.failure.detail


def test_a_column_with_none_and_nan_is_served_if_they_have_the_same_answer(service: LocalService) -> None:
    rows = pd.DataFrame({"a": pd.Series([None, "x", np.nan, "y"] * 10, dtype=object), "b": np.arange(40.0)})
    columns = ColumnTransformer([("b", SimpleImputer(), ["b"])])
    estimator = make_pipeline(columns, LogisticRegression()).fit(rows, [0, 1] * 20)

    service.result(service.pushed(estimator, rows))

    assert service.answers(rows, Method.PREDICT) == estimator.predict(rows).tolist()


@pytest.mark.parametrize("fills", [False, True], ids=["encoder", "imputer"])
def test_a_column_whose_missing_value_is_not_known_refuses_it_if_the_kinds_have_different_answers(
    service: LocalService, fills: bool
) -> None:
    """A frame of polars without nulls: the estimator would get None, or NaN if it was fitted on `to_pandas()`."""
    frame = pl.DataFrame({"a": ["x", "y"] * 20})
    encoder = OneHotEncoder(handle_unknown="ignore")
    step = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder) if fills else encoder
    target = np.array([0, 1] * 20)
    estimator = make_pipeline(step, LogisticRegression()).fit(frame, target)

    service.result(service.pushed(estimator, frame))
    written = service.stored(frame.with_columns(y=target).to_pandas().to_csv(index=False).encode(), "text/csv")
    service.result(service.trained(TrainingWork(written.id, written.sha256, ("y",))))

    for version in (1, 2):
        assert service.manifest(version).signature.columns[0].nullable is not fills
    assert service.answers(frame, Method.PREDICT) == estimator.predict(frame).tolist()


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([None, "x"], ["None"]),
        ([np.nan, "x"], ["nan"]),
        ([np.float32("nan"), pd.NA, pd.NaT, None, "x"], ["NA", "NaT", "None", "nan"]),
        (["nan", "None"], None),
    ],
)
def test_the_example_table_has_the_kinds_of_missing_values(values: list[Any], kinds: list[str] | None) -> None:
    array = np.array(values, dtype=object).reshape(-1, 1)

    frame_columns = example_table(pd.DataFrame({"a": pd.Series(values, dtype=object)}))["columns"]
    array_columns = example_table(array)["columns"]
    assert [column.get("missing") for column in (*frame_columns, *array_columns)] == [kinds, kinds]


def test_a_manifest_without_the_field_means_nan() -> None:
    column = Column("a", ColumnType.STRING, nullable=True, dtype="object")

    assert column.missing is Missing.NAN
