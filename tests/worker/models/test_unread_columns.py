"""Columns that no step of an estimator reads: not asked for, not refused, in every format, and not by a retraining."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from api.http.row_decoding import require_rows
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table, require_sendable
from queuecast.client.unsent_columns import with_sent_values, without_unread
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.holdout import HoldoutRule, holdout
from queuecast.domain.job import State
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Column, ColumnType, Signature
from queuecast.domain.work import Method, TrainingWork
from tests.worker.model_fixtures import LocalService
from worker.models.inference import infer_held_frame
from worker.models.loading import load_estimator
from worker.models.signatures import learn_signature
from worker.tables.file_columns import require_columns
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

pytestmark = pytest.mark.filterwarnings("ignore")

N = 60
READ = pd.DataFrame({"size": np.linspace(0, 9, N), "kind": np.array(["a", "b", "c"])[np.arange(N) % 3]})
TARGET = np.where((READ["size"] > 4) ^ (READ["kind"] == "b"), "yes", "no")
DROPPED: dict[str, list[Any]] = {
    "seen": [datetime(2026, 1, 1 + at % 28, tzinfo=UTC) for at in range(N)],
    "day": [date(2026, 1, 1 + at % 28) for at in range(N)],
    "price": [Decimal(at) / 4 for at in range(N)],
    "tags": [["x", at] if at % 3 else [] for at in range(N)],
    "place": [{"city": "Bonn", "at": [at]} for at in range(N)],
    "raw": [b"\x00\xff%d" % at for at in range(N)],
    "mixed": [at if at % 2 else f"n{at}" for at in range(N)],
    "id": [f"id-{at:06}" for at in range(N)],
    "number": list(range(N)),
}
FRAME = READ.assign(**DROPPED)


def columns_of(names: Any = ("size",), words: Any = ("kind",), **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("n", StandardScaler(), list(names)), ("w", OneHotEncoder(), list(words))], **options)


def pipeline(**options: Any) -> Any:
    return make_pipeline(columns_of(**options), LogisticRegression())


def signature_of(service: LocalService, version: int = 1) -> Signature:
    return service.manifest(version).signature


def pushed(service: LocalService, fitted: Any, frame: pd.DataFrame, *more: Any) -> Any:
    return service.pushed(fitted, without_unread(fitted, frame), *more)


def unread(signature: Signature) -> set[str]:
    return {column.name for column in signature.columns if not column.read}


def file_answers(service: LocalService, content: bytes, fmt: FileFormat, folder: Path, version: int = 1) -> list[Any]:
    path = folder / f"rows.{fmt}"
    path.write_bytes(content)
    manifest = service.manifest(version)
    require_columns(path, fmt, manifest.signature)
    (span,) = split_file(path, fmt, 1000, 2**20)
    read = read_range(path, fmt, manifest.signature, span)
    assert read.bad_rows == []
    estimator = load_estimator(service.models.file("model", version, "model.skops"))
    return infer_held_frame(estimator, manifest.signature, Method.PREDICT_PROBA, read.frame)


def parquet(frame: pd.DataFrame, read: set[str] = frozenset(READ.columns)) -> bytes:  # type: ignore[assignment]
    with open_table(with_sent_values(frame, require_sendable, read)) as table:
        return table.content.read()


CONTENTS: dict[FileFormat, Callable[[pd.DataFrame], bytes]] = {
    FileFormat.CSV: lambda frame: frame.to_csv(index=False).encode(),
    FileFormat.NDJSON: lambda frame: b"".join(
        json.dumps(row, default=str).encode() + b"\n" for row in frame.to_dict("records")
    ),
    FileFormat.PARQUET: parquet,
}
MEDIA_TYPES = {
    FileFormat.CSV: "text/csv",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
}
ESTIMATORS = {
    "pipeline": pipeline,
    "grid": lambda: GridSearchCV(pipeline(), {"logisticregression__C": [0.1, 1.0]}, cv=2),
    "ensemble": lambda: VotingClassifier([("a", pipeline()), ("b", pipeline())], voting="soft"),
    "union": lambda: make_pipeline(
        FeatureUnion([("a", columns_of()), ("b", columns_of(words=()))]), RandomForestClassifier(5, random_state=0)
    ),
    "calibrated": lambda: CalibratedClassifierCV(pipeline(), cv=2),
    "frozen": lambda: CalibratedClassifierCV(FrozenEstimator(pipeline().fit(FRAME, TARGET))),
    "one of many": lambda: OneVsRestClassifier(pipeline()),
    "threshold": lambda: FixedThresholdClassifier(pipeline(), threshold=0.3),
    "stack": lambda: StackingClassifier([("a", pipeline())], LogisticRegression(), cv=2),
    "inner pipeline": lambda: make_pipeline(make_pipeline(columns_of()), LogisticRegression()),
    "positions": lambda: make_pipeline(
        ColumnTransformer([("n", StandardScaler(), [0]), ("w", OneHotEncoder(), [1]), ("d", "drop", [2, 3])]),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_dropped_columns_are_found_and_not_asked_for_in_any_format(
    service: LocalService, tmp_path: Path, name: str
) -> None:
    fitted = ESTIMATORS[name]().fit(FRAME, TARGET)

    job = pushed(service, fitted, FRAME)

    assert job.state is State.SUCCEEDED, job.failure
    assert unread(signature_of(service)) == set(DROPPED)
    assert service.manifest(1).compared_rows > 20
    expected = fitted.predict_proba(FRAME).tolist()
    for frame in (FRAME, READ, READ.assign(tags="not a list", number="many", seen=None)):
        assert service.answers(with_sent_values(frame, json_rows, set(READ)), Method.PREDICT_PROBA) == expected
        for fmt, content in CONTENTS.items():
            assert file_answers(service, content(frame), fmt, tmp_path) == expected, (fmt, list(frame))


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(columns_of(("size", "number"), remainder="passthrough"), LogisticRegression()),
        lambda: make_pipeline(SelectKBest(k=1), LogisticRegression()),
        lambda: DecisionTreeClassifier(max_depth=1),
        lambda: StackingClassifier(
            [("a", make_pipeline(columns_of(words=()), LogisticRegression()))], cv=2, passthrough=True
        ),
        lambda: make_pipeline(
            ColumnTransformer([("all", columns_of(), ["size", "number", "other", "kind"])]),
            LogisticRegression(),
        ),
    ],
    ids=["passed through", "not selected", "not split by", "beside a stack", "taken by a step that drops it"],
)
def test_a_column_that_a_step_takes_and_does_not_need_is_read(make: Callable[[], Any]) -> None:
    frame = READ[["size"]].assign(number=np.arange(N) % 2, other=1.0 * (np.arange(N) % 5))
    estimator = make()
    if "columntransformer" in getattr(estimator, "named_steps", {}):
        frame = frame.assign(kind=READ["kind"])

    signature, _ = learn_signature(estimator.fit(frame, TARGET), frame)

    assert unread(signature) == set()


def test_an_array_has_no_unread_columns() -> None:
    rows = np.random.default_rng(0).normal(size=(N, 4))
    fitted = make_pipeline(ColumnTransformer([("n", StandardScaler(), [0, 2])]), LogisticRegression())

    signature, _ = learn_signature(fitted.fit(rows, TARGET), rows)

    assert unread(signature) == set()


def test_a_column_of_lists_that_a_step_reads_is_refused_before_it_is_sent(service: LocalService) -> None:
    fitted = make_pipeline(columns_of(words=("kind", "raw")), LogisticRegression()).fit(FRAME, TARGET)

    with pytest.raises(ValueError, match="column 'raw'"):
        pushed(service, fitted, FRAME)


def test_rows_may_lack_an_unread_column_and_have_anything_in_it(service: LocalService) -> None:
    pushed(service, pipeline().fit(FRAME, TARGET), FRAME)
    signature = signature_of(service)
    read = {"size": 1.0, "kind": "a"}
    rows = [read, read | {"number": "x", "tags": [1, {"a": None}], "seen": 7}]

    checked = require_rows(signature, json.dumps(rows).encode(), 10)
    with pytest.raises(InvalidInputError) as refused:
        require_rows(signature, json.dumps([{"size": 1, "number": 1, "extra": 2}]).encode(), 10, ExtraColumns.REFUSE)
    ignored = require_rows(signature, json.dumps([read | {"extra": 2, "id": 3}]).encode(), 10, ExtraColumns.IGNORE)

    assert checked.n_rows == 2
    assert {finding.code for finding in refused.value.findings} == {"unknown_column", "missing_column"}
    assert ignored.ignored is not None
    assert ignored.ignored.names == ("extra",)
    assert json.loads(ignored.rows) == [read | {"id": 3}]


def test_the_schema_of_a_row_marks_them(service: LocalService) -> None:
    pushed(service, pipeline().fit(FRAME, TARGET), FRAME)

    schema = signature_of(service).json_schema()

    assert schema["required"] == ["size", "kind"]
    assert schema["properties"]["tags"] == {"description": "not read by the model", "x-unread": True}
    assert schema["examples"][0] | {"size": 0.0} == schema["examples"][0]


def test_a_manifest_from_before_reads_all_columns() -> None:
    column = Column("age", ColumnType.NUMBER, nullable=True, dtype="float64")
    text = msgspec.json.encode({key: value for key, value in msgspec.to_builtins(column).items() if key != "read"})

    assert msgspec.json.decode(text, type=Column).read is True


# Retraining


def trained(service: LocalService, frame: pd.DataFrame, fmt: FileFormat, **params: Any) -> dict[str, Any]:
    stored = service.stored(CONTENTS[fmt](frame), MEDIA_TYPES[fmt])
    return service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("y",), params)))


@pytest.mark.parametrize("fmt", FileFormat)
@pytest.mark.parametrize("name", ["pipeline", "positions"])
def test_a_retraining_does_not_ask_for_them(service: LocalService, tmp_path: Path, name: str, fmt: FileFormat) -> None:
    split = holdout(READ)
    fitted = ESTIMATORS[name]().fit(FRAME.iloc[split.train], TARGET[split.train])
    service.result(pushed(service, fitted, FRAME.iloc[split.train], ("y",), split.rule))

    result = trained(service, READ.assign(y=TARGET), fmt)

    assert result["champion"]["score"] == result["challenger"]["score"]
    expected = clone(fitted).fit(FRAME.iloc[split.train], TARGET[split.train]).predict_proba(FRAME)
    assert service.answers(READ, Method.PREDICT_PROBA, version=2) == pytest.approx(expected, rel=1e-9)
    first, second = signature_of(service), signature_of(service, 2)
    assert unread(second) == set(DROPPED)
    assert [c.dtype for c in second.columns if not c.read] == [c.dtype for c in first.columns if not c.read]


@pytest.mark.parametrize("fmt", FileFormat)
def test_the_rows_are_split_by_an_unread_column_that_the_file_has(service: LocalService, fmt: FileFormat) -> None:
    frame = READ.assign(id=FRAME["id"], number=range(N), seen=pd.to_datetime(FRAME["seen"]), flag=np.arange(N) % 4 == 0)
    split = holdout(frame)
    fitted = pipeline().fit(frame.iloc[split.train], TARGET[split.train])
    service.result(pushed(service, fitted, frame.iloc[split.train], ("y",), split.rule))

    result = trained(service, frame.assign(y=TARGET), fmt)
    lacking = trained(service, READ.assign(y=TARGET), fmt)

    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert result["champion"]["score"] == result["challenger"]["score"]
    assert (lacking["verdict"], lacking["champion"]["score"]) == ("incomparable", None)
    assert "split by the column 'id' too, which the file lacks" in lacking["reason"]


@pytest.mark.parametrize("fmt", FileFormat)
def test_parameters_may_make_a_step_read_them_and_then_they_are_asked_for(
    service: LocalService, fmt: FileFormat
) -> None:
    frame = READ.assign(number=np.where(TARGET == "yes", 1.0, 0.0))
    split = holdout(frame)
    fitted = pipeline().fit(frame.iloc[split.train], TARGET[split.train])
    service.result(pushed(service, fitted, frame.iloc[split.train], ("y",), split.rule))
    params = {"columntransformer__remainder": "passthrough"}

    result = trained(service, frame.assign(y=TARGET), fmt, **params)

    assert result["champion"]["version"] == 1
    assert unread(signature_of(service, 2)) == set()
    expected = clone(fitted).set_params(**params).fit(frame.iloc[split.train], TARGET[split.train])
    assert service.answers(frame, Method.PREDICT_PROBA, 2) == pytest.approx(expected.predict_proba(frame), rel=1e-9)
    stored = service.stored(CONTENTS[fmt](READ.assign(y=TARGET)), MEDIA_TYPES[fmt])
    job = service.trained(TrainingWork(stored.id, stored.sha256, ("y",), params))
    assert job.failure is not None
    assert "number" in job.failure.detail


def test_a_selector_of_dtypes_selects_the_columns_of_the_first_fit_again(service: LocalService) -> None:
    frame = READ.assign(number=range(N), seen=pd.to_datetime(FRAME["seen"]), flag=True, part=pd.Categorical(["p"] * N))
    numbers = make_column_selector(dtype_include="float64")
    estimator = make_pipeline(ColumnTransformer([("n", MinMaxScaler(), numbers)]), LogisticRegression())
    fitted = estimator.fit(frame, TARGET)
    service.result(pushed(service, fitted, frame, ("y",)))

    trained(service, READ[["size"]].assign(y=TARGET), FileFormat.CSV)

    assert unread(signature_of(service)) == unread(signature_of(service, 2)) == {*frame.columns} - {"size"}


def test_the_target_may_be_an_unread_column(service: LocalService) -> None:
    frame = READ.assign(y=TARGET)
    fitted = pipeline().fit(frame, TARGET)
    service.result(pushed(service, fitted, frame, ("y",)))

    trained(service, frame, FileFormat.CSV)

    assert "y" in unread(signature_of(service, 2))


def test_a_split_by_the_first_rule_needs_all_columns(service: LocalService) -> None:
    """It compares cells by their types, which only a column that is read has."""
    frame = READ.assign(number=range(N))
    service.result(pushed(service, pipeline().fit(frame, TARGET), frame, ("y",), HoldoutRule(method="rowhash-v1")))

    assert unread(signature_of(service)) == set()


def test_manifests_keep_them(service: LocalService) -> None:
    pushed(service, pipeline().fit(FRAME, TARGET), FRAME)

    text = msgspec.json.encode(service.manifest(1))

    assert unread(msgspec.json.decode(text, type=Manifest).signature) == set(DROPPED)
