"""Values that cannot be sent, in columns that the model does not read."""

import io
import json
from typing import Any

import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from queuecast.client import Client
from queuecast.client.pushing import estimator_parts
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job

FRAME = pd.DataFrame(
    {"age": [1.0, 2.0, 3.0, 4.0], "tags": [["a"], [], ["b"], None], "mixed": [1, "x", 2, "y"], "note": list("pqrs")}
)
SCHEMA = {"type": "object", "properties": {}, "required": ["age"]}


POLARS = pl.DataFrame(
    {
        "age": FRAME["age"].tolist(),
        "tags": FRAME["tags"].tolist(),
        "place": [{"lat": 1.5}, {"lat": 2.5}, None, {"lat": 0.5}],
        "mixed": pl.Series([1, "x", 2, b"y"], dtype=pl.Object),
        "note": list("pqrs"),
    }
)


def fitted(columns: list[str], frame: Any = FRAME) -> Any:
    steps = ColumnTransformer([("n", StandardScaler(), columns)])
    return make_pipeline(steps, LogisticRegression()).fit(frame, [0, 0, 1, 1])


@pytest.fixture
def serving(gateway: ScriptedGateway) -> ScriptedGateway:
    gateway.on("GET /v1/models/m/schema", SCHEMA)
    gateway.on("POST /v1/models/m/predictions", Answer(job(), 202))
    gateway.on("POST /v1/models/m/batches", Answer(job(), 202))
    gateway.on("POST /v1/models/m/trainings", Answer(job(), 202))
    gateway.on("POST /v1/files", {"id": "file_1"})
    return gateway


def test_a_push_sends_none_for_them_if_the_estimator_does_not_read_them() -> None:
    _, example, _ = estimator_parts(fitted(["age"]), FRAME)["example"]

    table = json.loads(example)  # type: ignore[arg-type]
    assert table["rows"] == [[1.0, None, 1, "p"], [2.0, None, "x", "q"], [3.0, None, 2, "r"], [4.0, None, "y", "s"]]
    assert set(table["answers"]["outputs"]) == {"predict", "predict_proba", "decision_function"}


def test_a_push_of_a_polars_frame_sends_none_for_them() -> None:
    _, example, _ = estimator_parts(fitted(["age"], POLARS), POLARS)["example"]

    table = json.loads(example)  # type: ignore[arg-type]
    assert table["rows"] == [
        [age, None, None, None, note] for age, note in zip([1.0, 2.0, 3.0, 4.0], "pqrs", strict=True)
    ]
    assert set(table["answers"]["outputs"]) == {"predict", "predict_proba", "decision_function"}


def test_a_push_of_a_polars_column_that_the_estimator_reads_is_refused_with_its_name() -> None:
    reads_it = make_pipeline(ColumnTransformer([("n", "passthrough", ["age", "tags"])])).fit(POLARS)

    with pytest.raises(ValueError, match="column 'tags' has the dtype List"):
        estimator_parts(reads_it, POLARS)


def test_a_push_of_a_column_that_the_estimator_reads_is_refused_with_its_name() -> None:
    frame = FRAME.assign(when=pd.period_range("2026-01", periods=4, freq="M"))
    steps = ColumnTransformer([("n", "passthrough", ["age", "when"])])
    reads_it = make_pipeline(steps).fit(frame)

    with pytest.raises(ValueError, match="column 'when' has the dtype period"):
        estimator_parts(reads_it, frame)


@pytest.mark.parametrize(
    "rows",
    [FRAME, POLARS, FRAME.assign(tags=[[1], [2, "a"], [3], None]).to_dict("records")],
    ids=["frame", "polars", "dicts"],
)
def test_a_prediction_sends_null_for_them(client: Client, serving: ScriptedGateway, rows: Any) -> None:
    client.predict("m", rows)

    sent = serving.requests[-1].json["inputs"]
    assert [row["age"] for row in sent] == [1.0, 2.0, 3.0, 4.0]
    assert [row["tags"] for row in sent] == [None] * 4
    assert [row["note"] for row in sent] == list("pqrs")


def test_a_list_of_words_in_a_dict_is_sent(client: Client, serving: ScriptedGateway) -> None:
    """A model that was fitted on dicts may read it. The gateway takes anything in a column that is not read."""
    client.predict("m", FRAME[["age", "tags"]].to_dict("records"))

    assert [row["tags"] for row in serving.requests[-1].json["inputs"]] == [["a"], [], ["b"], None]


def test_a_value_that_cannot_be_sent_in_a_column_that_is_read_is_refused(
    client: Client, serving: ScriptedGateway
) -> None:
    with pytest.raises(ValueError, match="column 'age': a list cannot be sent"):
        client.predict("m", [{"age": [1], "tags": []}])

    assert serving.requests_to("POST /v1/models/m/predictions") == []


@pytest.mark.parametrize("frame", [FRAME, POLARS], ids=["pandas", "polars"])
def test_a_table_has_nulls_in_a_column_that_parquet_cannot_hold(
    client: Client, serving: ScriptedGateway, frame: Any
) -> None:
    client.predict_file("m", frame, id_column="note")
    client.train("m", frame, "note")
    client.train("m", frame, y=[0, 0, 1, 1])

    requests = serving.requests_to("POST /v1/files")
    assert len(requests) == 3
    for request in requests:
        sent = pd.read_parquet(io.BytesIO(request.body))
        assert sent["mixed"].isna().all()
        assert sent["note"].tolist() == list("pqrs")
    with pytest.raises(ValueError, match="cannot be written as Parquet"):
        client.train("m", frame, "mixed")
