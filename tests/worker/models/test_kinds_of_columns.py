"""Models with columns of every kind: pushed, predicted alone and in batches in each format, and retrained."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.domain.job import JobType, ModelRef, State
from queuecast.domain.work import Method, TrainingWork
from queuecast.skops_files import skops_bytes
from tests.worker.column_kinds import KINDS
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 60
ORDERED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
ONE_HOT = OneHotEncoder(handle_unknown="ignore")
SCALED = make_pipeline(SimpleImputer(), StandardScaler())
SPARSE = StandardScaler(with_mean=False)
CASES = {
    "datetime64[us]": ORDERED,
    "datetime64[ns]": ORDERED,
    "datetime64[us, UTC]": ONE_HOT,
    "dates": ONE_HOT,
    "times": ONE_HOT,
    "datetimes": ONE_HOT,
    "Timestamps": "drop",
    "zoned Timestamps": ONE_HOT,
    "zoned datetimes": ONE_HOT,
    "timedelta64[ns]": ONE_HOT,
    "timedeltas": ONE_HOT,
    "decimals": SCALED,
    "Int64": SCALED,
    "boolean": ONE_HOT,
    "string": "drop",
    "float[pyarrow]": SCALED,
    "string[pyarrow]": "drop",
    "timestamp[us][pyarrow]": ONE_HOT,
    "Sparse[float64, nan]": "passthrough",
    "Sparse[float64, 0]": SPARSE,
    "Sparse[int64, 0]": SPARSE,
    "category of floats": ORDERED,
    "category of integers": ORDERED,
    "category of booleans": ORDERED,
    "category of strings": ORDERED,
    "category of datetimes": ORDERED,
}


def _rows(kind: str) -> pd.DataFrame:
    """The kind's values again and again, and a number."""
    values = KINDS[kind]
    if kind == "datetime64[us, UTC]":  # the encoder learns NaT as an object, which no model file can hold
        values = values.dropna()
    positions = np.arange(N_ROWS) % len(values)
    return pd.DataFrame({"c": values.iloc[positions].reset_index(drop=True), "x": np.arange(N_ROWS) % 7 / 7})


def _target(rows: pd.DataFrame) -> Any:
    first = json_rows(rows)[0]["c"]  # type: ignore[call-overload]
    return np.array(["first" if row["c"] == first else "other" for row in json_rows(rows)])  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", CASES)
def test_a_model_answers_as_in_the_notebook_in_every_format_and_after_a_retraining(
    service: LocalService, kind: str, tmp_path: Path
) -> None:
    rows = _rows(kind)
    target = _target(rows)
    columns = ColumnTransformer([("c", CASES[kind], ["c"]), ("x", "passthrough", ["x"])])
    estimator = make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(rows, target)
    expected = estimator.predict_proba(rows).tolist()

    pushed = service.pushed(estimator, rows, ("y",))

    assert pushed.state is State.SUCCEEDED, pushed.failure
    assert service.manifest(1).signature.columns[0].dtype == str(rows["c"].dtype)
    assert service.manifest(1).compared_rows > 0
    for found in answers_by_format(service, rows, Method.PREDICT_PROBA, tmp_path, 1).values():
        assert found == expected
    for at in range(4):
        assert service.answers(rows[at : at + 1], Method.PREDICT_PROBA) == expected[at : at + 1]

    with open_table(rows.assign(y=target)) as table:
        stored = service.stored(table.content.read(), table.media_type, table.name)
    service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("y",))))
    service.result(service.trained(service.training_work(rows.assign(y=target), ("y",))))

    for version in (2, 3):
        assert service.manifest(version).signature.columns == service.manifest(1).signature.columns
    as_parquet, as_csv = (
        answers_by_format(service, rows, Method.PREDICT_PROBA, tmp_path, version) for version in (2, 3)
    )
    assert as_parquet == as_csv
    assert all(found == as_parquet["json"] for found in as_parquet.values())


@pytest.mark.parametrize("kind", ["dates", "datetimes", "decimals", "times", "timestamp[us][pyarrow]"])
def test_objects_are_known_although_the_first_rows_have_none(service: LocalService, kind: str) -> None:
    values = KINDS[kind]
    missing = pd.Series([values.iloc[1]] * 500, dtype=values.dtype)
    rows = pd.DataFrame({"c": pd.concat([missing, values], ignore_index=True), "x": 1.0})
    columns = ColumnTransformer([("x", "passthrough", ["x"])])
    estimator = make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(rows, np.arange(len(rows)) % 2)

    service.result(service.pushed(estimator, rows))

    assert service.manifest(1).signature.columns[0].type not in ("string", "number")


@pytest.mark.parametrize("kind", ["datetime64[ns]", "dates", "datetimes", "times", "timedelta64[ns]", "decimals"])
def test_a_csv_example_has_the_times_that_an_encoder_has_learned(
    service: LocalService, kind: str, tmp_path: Path
) -> None:
    """CSV has words for them, which the encoder would not know."""
    rows = pd.DataFrame({"c": KINDS[kind].dropna()})
    rows = rows[:1] if kind == "decimals" else rows  # pandas reads the others as floats, which lose their digits
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).fit(rows)
    work = service.import_work(skops_bytes(encoder), rows.to_csv(index=False).encode())

    service.result(service.ran(JobType.IMPORT, ModelRef("model"), work))

    expected = encoder.transform(rows).tolist()
    assert all(found == expected for found in answers_by_format(service, rows, Method.TRANSFORM, tmp_path, 1).values())


def test_an_answer_that_is_a_time_is_text_in_every_format(service: LocalService, tmp_path: Path) -> None:
    rows = _rows("datetime64[ns]").dropna()[["c"]]
    estimator = ColumnTransformer([("c", "passthrough", ["c"])]).fit(rows)

    service.result(service.pushed(estimator, rows))

    for found in answers_by_format(service, rows, Method.TRANSFORM, tmp_path, 1).values():
        assert found[0] == ["2026-01-31T12:30:00.000000001"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pd.Series(pd.period_range("2026-01", periods=4, freq="M")), "has the dtype period"),
        (pd.Series([1j, 2, 3, 4]), "has the dtype complex128"),
        (pd.Series([pd.Timestamp("2026-01-31"), "a", "b", "c"], dtype=object), "holds Timestamp and str"),
        (
            pd.Series([pd.Timestamp("2026-01-31"), pd.Timestamp("2026-01-31", tz="UTC")] * 2, dtype=object),
            "some have a zone",
        ),
    ],
)
def test_a_column_that_is_not_served_is_refused_before_anything_is_sent(
    service: LocalService, values: Any, words: str
) -> None:
    rows = pd.DataFrame({"c": values, "x": 1.0})

    with pytest.raises(ValueError, match=words):
        service.import_work(b"", rows)
