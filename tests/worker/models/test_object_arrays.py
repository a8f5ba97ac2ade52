"""Estimators that were fitted on an array of Python objects, whose columns have a type of their own each."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from queuecast import holdout
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.domain.job import State
from queuecast.domain.work import Method
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService, with_target
from worker.models.columns.typed_columns import arrow_values
from worker.models.frames import frame_of
from worker.tables.checked_columns import build_frame

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 60
COLUMNS: dict[str, list[Any]] = {
    "whole numbers": [1, 2**53 + 1, -3],
    "fractions": [0.5, 1.0, -2.25],
    "numbers": [1, 2.5, -3],
    "words": ["a", "NA", "1"],
    "booleans": [True, False, True],
    "dates": [date(2026, 1, 31), date(1999, 12, 31), date(1, 1, 1)],
    "decimals": [Decimal("12.5"), Decimal("-0.25"), Decimal(3)],
}
HOLES = {"None": None, "NaN": float("nan"), "no hole": "no hole"}
ORDERED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)


def _array(hole: Any) -> Any:
    array = np.empty((N_ROWS, len(COLUMNS)), dtype=object)
    for index, values in enumerate(COLUMNS.values()):
        array[:, index] = [values[(at + at // 7) % 3] for at in range(N_ROWS)]
        if hole != "no hole":
            array[index::11, index] = hole
    return array


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_a_model_of_an_object_array_answers_as_in_the_notebook_and_after_a_retraining(
    service: LocalService, hole: Any, tmp_path: Path
) -> None:
    rows = _array(hole)
    target = np.arange(N_ROWS) % 3
    numbers = make_pipeline(SimpleImputer(missing_values=np.nan if hole != hole else None), StandardScaler())
    if hole == "no hole":
        numbers = StandardScaler()
    columns = ColumnTransformer(
        [("words", ORDERED, [0, 3, 4, 5, 6]), ("one hot", OneHotEncoder(handle_unknown="ignore"), [2])]
        + ([] if hole is None else [("numbers", numbers, [1])]),
        sparse_threshold=0,
    )
    estimator = make_pipeline(columns, DecisionTreeClassifier(random_state=0)).fit(rows, target)
    expected = estimator.predict_proba(rows).tolist()

    pushed = service.pushed(estimator, rows)

    assert pushed.state is State.SUCCEEDED, pushed.failure
    signature = service.manifest(1).signature
    assert [column.type.value for column in signature.columns] == [
        *("integer", "number", "number", "string", "boolean", "date", "decimal")
    ]
    for found in answers_by_format(service, rows, Method.PREDICT_PROBA, tmp_path, 1).values():
        assert found == expected
    for at in range(4):
        assert service.answers(rows[at : at + 1], Method.PREDICT_PROBA) == expected[at : at + 1]

    service.result(service.trained(service.training_work(with_target(rows, target), ("target",))))
    train = holdout(rows).train
    again = clone(estimator).fit(rows[train], target[train])
    assert service.answers(rows, Method.PREDICT_PROBA, 2) == again.predict_proba(rows).tolist()


@pytest.mark.parametrize("hole", HOLES.values(), ids=HOLES)
def test_the_estimator_sees_the_python_objects_of_the_fit_from_json_and_from_files(
    service: LocalService, hole: Any
) -> None:
    rows = _array(hole)
    estimator = ColumnTransformer([("all", ORDERED, [3])]).fit(rows)
    service.result(service.pushed(estimator, rows))
    signature = service.manifest(1).signature
    listed = json.loads(json.dumps(json_rows(rows)))
    cells = zip(*listed, strict=True)

    from_json = frame_of(signature, listed)
    from_file = build_frame(
        signature, [arrow_values(column, list(values)) for column, values in zip(signature.columns, cells, strict=True)]
    )

    as_floats = rows.copy()  # a column of whole numbers and fractions: equal numbers, as floats
    as_floats[:, 2] = [float(value) if isinstance(value, int) else value for value in rows[:, 2]]
    for found in (from_json, from_file):
        assert found.dtype == object
        assert [[(type(cell), repr(cell)) for cell in row] for row in found.tolist()] == [
            [(type(cell), repr(cell)) for cell in row] for row in as_floats.tolist()
        ]


def test_a_frame_as_an_array_keeps_the_type_of_each_column(service: LocalService, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "count": np.arange(N_ROWS) % 5,
            "share": np.arange(N_ROWS) % 4 / 4,
            "member": np.arange(N_ROWS) % 2 == 0,
            "color": np.array(["red", "blue", "NA"])[np.arange(N_ROWS) % 3],
        }
    )
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), DecisionTreeClassifier(random_state=0))
    estimator.fit(frame.values, frame["color"])

    service.result(service.pushed(estimator, frame.values))

    types = [column.type.value for column in service.manifest(1).signature.columns]
    assert types == ["integer", "number", "boolean", "string"]
    expected = estimator.predict_proba(frame.values).tolist()
    for found in answers_by_format(service, frame.values, Method.PREDICT_PROBA, tmp_path, 1).values():
        assert found == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, "a"], "column 'x0' is object; expected numbers"),
        ([1, True], "column 'x0' is object; expected numbers"),
        ([2**63, 1], "expected whole numbers from -9223372036854775808 to 9223372036854775807"),
        ([2**53 + 1, 0.5], "expected whole numbers from -9007199254740992 to 9007199254740992, because others"),
    ],
)
def test_a_column_of_several_types_is_refused(service: LocalService, values: list[Any], words: str) -> None:
    rows = np.array([[value, 1.0] for value in values * 10], dtype=object)
    estimator = ColumnTransformer([("last", "passthrough", [1])]).fit(rows)

    refused = service.pushed(estimator, rows)

    assert refused.failure is not None
    assert refused.failure.code == "unsupported_column"
    assert words in refused.failure.detail
