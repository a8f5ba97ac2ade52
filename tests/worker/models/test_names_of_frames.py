"""Frames whose column names are not text: pushed, predicted in every format, retrained; the estimator's frame has its
own names again."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from api.http.row_decoding import require_rows
from queuecast import holdout
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.job import State
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method, TrainingWork
from tests.worker.every_format import answers_by_format
from tests.worker.model_fixtures import LocalService, with_target
from worker.models.columns.widening import split_frame
from worker.models.frames import frame_of
from worker.tables.file_columns import require_columns

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 60
NAMES: dict[str, Any] = {
    "numbers": pd.RangeIndex(3),
    "numbers in another order": pd.Index([2, 0, 1]),
    "numpy's numbers": pd.Index([np.int64(5), np.int64(3), np.int64(9)], dtype=object),
    "dates": pd.Index([dt.date(2024, 1, day) for day in (1, 2, 3)], dtype=object),
    "days": pd.date_range("2024-01-01", periods=3, name="day"),
    "levels": pd.MultiIndex.from_tuples([("size", 1), ("size", 2), ("color", 1)], names=["what", None]),
    "tuples": pd.Index([("a", 1), ("b", 2), ("c", 3)], dtype=object, tupleize_cols=False),
    "numbers and dates": pd.Index([1, 2.5, dt.date(2024, 1, 1)], dtype=object),
}
ORDERED = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
SCALED = make_pipeline(SimpleImputer(), StandardScaler())


def _frame(columns: Any) -> pd.DataFrame:
    at = np.arange(N_ROWS)
    values = {
        0: np.where(at % 11 == 0, np.nan, at % 7 / 4),
        1: (at % 5).astype("int64"),
        2: np.array(["red", "NA", "blue"])[at % 3],
    }
    frame = pd.DataFrame(values)
    frame.columns = columns
    return frame


def _estimator() -> Any:
    columns = ColumnTransformer([("numbers", SCALED, [0, 1]), ("words", ORDERED, [2])])
    return make_pipeline(columns, DecisionTreeClassifier(random_state=0))


def _trained_on_upload(service: LocalService, frame: pd.DataFrame, target: Any) -> None:
    table = pd.concat([frame, pd.Series(target, name="label")], axis=1)
    table.columns = pd.Index([*frame.columns, "label"], dtype=object, tupleize_cols=False)
    with open_table(table) as file:
        stored = service.stored(file.content.read(), file.media_type, file.name)
    service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("label",))))


def _seen(manifest: Manifest, rows: list[Any]) -> Any:
    ((_, frame),) = split_frame(manifest.signature, frame_of(manifest.signature, rows))
    return frame


@pytest.mark.parametrize("columns", NAMES.values(), ids=NAMES)
def test_a_frame_is_served_in_every_format_and_retrained_with_its_own_names(
    service: LocalService, columns: Any, tmp_path: Path
) -> None:
    frame = _frame(columns)
    target = np.arange(N_ROWS) % 2
    estimator = _estimator().fit(frame, target)
    expected = estimator.predict_proba(frame).tolist()

    pushed = service.pushed(estimator, frame, ("label",))

    assert pushed.state is State.SUCCEEDED, pushed.failure
    manifest = service.manifest(1)
    assert [column.name for column in manifest.signature.columns] == list(map(str, columns))
    assert [column.dtype for column in manifest.signature.columns] == ["float64", "int64", "str"]
    assert manifest.compared_rows > 0
    pd.testing.assert_frame_equal(_seen(manifest, json_rows(frame)), frame)
    texts = frame.set_axis(list(map(str, columns)), axis=1)
    for rows in (frame, texts):
        sent = require_rows(manifest.signature, json.dumps(json_rows(rows)).encode(), N_ROWS)
        assert service.answers(json.loads(sent.rows), Method.PREDICT_PROBA) == expected
    for found in answers_by_format(service, texts.to_numpy(), Method.PREDICT_PROBA, tmp_path, 1).values():
        assert found == expected

    _trained_on_upload(service, frame, target)
    train = holdout(frame).train
    again = clone(estimator).fit(frame.iloc[train], target[train])
    assert service.manifest(2).signature.labels == manifest.signature.labels
    assert service.answers(json_rows(frame), Method.PREDICT_PROBA, 2) == again.predict_proba(frame).tolist()
    pd.testing.assert_index_equal(_seen(service.manifest(2), json_rows(frame)).columns, frame.columns, exact=True)


def test_columns_that_are_selected_by_dtype_are_the_notebooks_after_a_retraining(service: LocalService) -> None:
    """The selector returns the names 2 and 0, which scikit-learn takes for places."""
    frame = _frame(pd.Index([1, 0, 2]))[[1, 0]].astype("float64").fillna(0)
    frame[7] = np.arange(N_ROWS) % 3
    frame = frame.set_axis([2, 0, 1], axis=1)
    target = np.arange(N_ROWS) % 2
    selected = ColumnTransformer([("float", "passthrough", make_column_selector(dtype_include="float"))])
    estimator = selected.fit(frame)
    assert estimator.transform(frame)[5].tolist() == [frame.iloc[5, 2], frame.iloc[5, 0]]

    service.result(
        service.pushed(
            make_pipeline(selected, DecisionTreeClassifier(random_state=0)).fit(frame, target), frame, ("label",)
        )
    )
    _trained_on_upload(service, frame, target)

    train = holdout(frame).train
    again = make_pipeline(clone(selected), DecisionTreeClassifier(random_state=0)).fit(frame.iloc[train], target[train])
    for version in (1, 2):
        answers = service.answers(json_rows(frame), Method.PREDICT_PROBA, version)
        if version == 2:
            assert answers == again.predict_proba(frame).tolist()


def test_a_split_of_a_frame_with_numbers_for_names_is_repeated_by_a_retraining(service: LocalService) -> None:
    frame = _frame(pd.RangeIndex(3))
    target = np.arange(N_ROWS) % 2
    split = holdout(frame)
    estimator = _estimator().fit(frame.iloc[split.train], target[split.train])
    service.result(service.pushed(estimator, frame.iloc[split.train], ("label",), split.rule))

    _trained_on_upload(service, frame, target)

    lineage = service.manifest(2).lineage
    assert lineage is not None
    assert (lineage.train_rows, lineage.holdout_rows) == (len(split.train), len(split.test))
    assert service.manifest(2).metrics["champion"] is not None


def test_the_columns_of_a_file_in_another_order_are_refused_because_scikit_learn_goes_by_place(
    service: LocalService, tmp_path: Path
) -> None:
    frame = _frame(pd.date_range("2024-01-01", periods=3))
    service.result(service.pushed(_estimator().fit(frame, np.arange(N_ROWS) % 2), frame))
    signature = service.manifest(1).signature
    texts = frame.set_axis(list(map(str, frame.columns)), axis=1)
    path = tmp_path / "rows.csv"
    (texts.assign(note="x")[[texts.columns[0], "note", *texts.columns[1:]]]).to_csv(path)

    require_columns(path, FileFormat.CSV, signature)

    texts[texts.columns[::-1]].to_csv(path)
    with pytest.raises(InvalidInputError, match=r"another order than at the fit.*expected the order 2024-01-01 00"):
        require_columns(path, FileFormat.CSV, signature)


# Estimators that were fitted on an array, and pushed with the frame


def _named() -> pd.DataFrame:
    return _frame(["height", "rooms", "color"])


@pytest.mark.parametrize("columns", [["height", "rooms", "color"], ["a/b", 'a "b"', "x0"]], ids=["plain", "odd"])
def test_an_estimator_that_was_fitted_on_an_array_answers_the_frame_by_name_and_by_place(
    service: LocalService, columns: list[str], tmp_path: Path
) -> None:
    frame = _frame(columns)
    target = np.arange(N_ROWS) % 2
    estimator = _estimator().fit(frame.to_numpy(), target)
    expected = estimator.predict_proba(frame.to_numpy()).tolist()

    pushed = service.pushed(estimator, frame, ("label",))

    assert pushed.state is State.SUCCEEDED, pushed.failure
    signature = service.manifest(1).signature
    assert signature.layout == "array"
    assert [column.name for column in signature.columns] == columns
    backwards = frame[frame.columns[::-1]].assign(note="x")
    for rows in (frame, frame.to_numpy(), frame[frame.columns[::-1]]):
        sent = require_rows(signature, json.dumps(json_rows(rows)).encode(), N_ROWS)
        assert service.answers(json.loads(sent.rows), Method.PREDICT_PROBA) == expected
    for rows in (frame.to_numpy(), frame, backwards):
        found = answers_by_format(service, rows, Method.PREDICT_PROBA, tmp_path, 1)
        assert all(answers == expected for answers in found.values())

    service.result(service.trained(service.training_work(with_target(frame, target, "label"), ("label",))))
    train = holdout(frame).train
    again = clone(estimator).fit(frame.to_numpy()[train], target[train])
    assert [column.name for column in service.manifest(2).signature.columns] == columns
    assert (
        service.answers(json_rows(frame.to_numpy()), Method.PREDICT_PROBA, 2)
        == again.predict_proba(frame.to_numpy()).tolist()
    )


def test_an_array_of_words_and_none_is_pushed_with_its_frame(service: LocalService, tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["x", None, "y"] * 10, "b": [1, 2, None] * 10}, dtype=object)
    estimator = OrdinalEncoder().fit(frame.to_numpy())

    service.result(service.pushed(estimator, frame))

    expected = estimator.transform(frame.to_numpy())
    for found in answers_by_format(service, frame, Method.TRANSFORM, tmp_path, 1).values():
        np.testing.assert_array_equal(np.array(found, dtype=float), expected)


def test_a_split_of_the_frame_is_repeated_for_an_estimator_of_its_array(service: LocalService) -> None:
    frame, target = _named(), np.arange(N_ROWS) % 2
    split = holdout(frame)
    estimator = _estimator().fit(frame.to_numpy()[split.train], target[split.train])
    service.result(service.pushed(estimator, frame.iloc[split.train], ("label",), split.rule))

    service.result(service.trained(service.training_work(with_target(frame, target, "label"), ("label",))))

    lineage = service.manifest(2).lineage
    assert lineage is not None
    assert (lineage.train_rows, lineage.holdout_rows) == (len(split.train), len(split.test))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"height": 1.0, "rooms": 2}], "column 'color' is missing"),
        ([{"height": 1.0, "rooms": 2, "color": "red", "depth": 1}], "unknown column 'depth'"),
        ([[1.0, 2]], "found 2 values, expected 3"),
        ([[1.0, 2, "red"], {"height": 1.0, "rooms": 2, "color": "red"}], "or objects with the names"),
        ([{"height": 1.0, "rooms": 2, "color": "red"}, [1.0, 2, "red"]], "found a list, expected an object"),
        (["red"], "expected a list of 3 values, or objects with the names of the columns in all rows"),
    ],
)
def test_rows_whose_names_do_not_match_are_refused(service: LocalService, rows: list[Any], words: str) -> None:
    frame = _named()
    service.result(service.pushed(_estimator().fit(frame.to_numpy(), np.arange(N_ROWS) % 2), frame))

    with pytest.raises(InvalidInputError, match=words):
        require_rows(service.manifest(1).signature, json.dumps(rows).encode(), 10)


def test_a_file_whose_names_do_not_match_is_refused_and_one_with_places_is_not(
    service: LocalService, tmp_path: Path
) -> None:
    frame = _named()
    service.result(service.pushed(_estimator().fit(frame.to_numpy(), np.arange(N_ROWS) % 2), frame))
    path = tmp_path / "rows.csv"

    frame.set_axis(["x0", "x1", "x2"], axis=1).to_csv(path)
    require_columns(path, FileFormat.CSV, service.manifest(1).signature)

    frame.set_axis(["height", "rooms", "colour"], axis=1).to_csv(path, index=False)
    with pytest.raises(InvalidInputError, match=r"'color' .the nearest is 'colour'.; it has height"):
        require_columns(path, FileFormat.CSV, service.manifest(1).signature)
