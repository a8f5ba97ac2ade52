"""Uploads, trainings, pushes, and the lists of jobs and models."""

import base64
import hashlib
import io
import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import queuecast
from queuecast.client import DEFAULT_URL, ApiError, Client, IgnoredColumnsWarning
from queuecast.client.row_formats.json_rows import example_table
from queuecast.domain.holdout import HoldoutRule
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, parts_of, problem

PUSH = "POST /v1/models/titanic/versions"


def test_a_client_without_a_url_uses_the_exported_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QUEUECAST_URL", raising=False)

    with Client() as client:
        assert client.url == DEFAULT_URL


@pytest.mark.parametrize("name", sorted({*queuecast.__all__} - {"__version__", "holdout", "Split", "HoldoutRule"}))
def test_the_package_offers_the_names_of_the_client(name: str) -> None:
    assert getattr(queuecast, name) is getattr(queuecast.client, name)
    assert name in dir(queuecast)


def test_the_package_offers_the_names_of_the_split() -> None:
    assert isinstance(queuecast.holdout([[1]]), queuecast.Split)
    assert isinstance(queuecast.holdout([[1]]).rule, queuecast.HoldoutRule)


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="module 'queuecast' has no attribute 'Jobs'"):
        _ = queuecast.Jobs  # type: ignore[attr-defined]


def test_a_client_is_shown_with_its_address() -> None:
    with Client("http://127.0.0.1:8001") as client:
        assert repr(client) == "<Client http://127.0.0.1:8001>"
        assert '<a href="http://127.0.0.1:8001">' in client._repr_html_()


# Uploads, trainings and pushes


def test_an_upload_has_a_length_and_a_digest(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    data = b"age,survived\n29,1\n" * 10_000
    (tmp_path / "titanic.csv").write_bytes(data)
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))

    client.upload(tmp_path / "titanic.csv")

    request = gateway.only_request("POST /v1/files")
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert request.body == data
    assert request.headers["content-length"] == str(len(data))
    assert "transfer-encoding" not in request.headers
    assert request.headers["content-digest"] == f"sha-256=:{digest}:"
    assert request.headers["content-type"] == "text/csv"
    assert request.query == {"name": "titanic.csv"}


def test_an_upload_that_was_refused_with_503_is_retried_from_its_start(
    client: Client, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "titanic.csv").write_bytes(b"age\n29\n")
    busy = problem(503, "Not available now")
    busy.headers["Retry-After"] = "0"
    gateway.on("POST /v1/files", busy, Answer({"id": "file_1"}, 201))

    client.upload(tmp_path / "titanic.csv")

    assert [request.body for request in gateway.requests] == [b"age\n29\n", b"age\n29\n"]


def test_the_words_of_a_training_frame_stay_words(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/land/trainings", Answer(job(type="training"), 202))
    frame = pd.DataFrame({"country": ["NA", "None", "", None], "label": ["NA", "", "null", "None"]}, dtype=object)

    client.train("land", frame, "label")

    arrived = pq.read_table(io.BytesIO(gateway.only_request("POST /v1/files").body)).to_pydict()
    assert arrived == {"country": ["NA", "None", "", None], "label": ["NA", "", "null", "None"]}


def test_a_frame_without_pyarrow_says_what_to_install(
    client: Client, gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ImportError, match="pip install pyarrow"):
        client.train("land", pd.DataFrame({"country": ["NA"], "label": ["NA"]}), "label")

    assert gateway.requests == []


def test_a_training_may_leave_out_bad_rows(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/land/trainings", Answer(job(type="training"), 202))

    client.train("land", pd.DataFrame({"a": [1.0], "y": [1]}), "y", on_error="skip")

    assert gateway.only_request("POST /v1/models/land/trainings").json["on_error"] == "skip"


def test_a_training_uploads_a_frame_and_names_the_file(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))
    frame = pd.DataFrame({"age": [29.5, np.nan], "survived": [1, 0]})

    client.train("titanic", frame, "survived", params={"C": np.float64(0.5)}, promote="manual")

    request = gateway.only_request("POST /v1/files")
    assert request.headers["content-type"] == "application/vnd.apache.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(request.body)), frame)
    assert gateway.only_request("POST /v1/models/titanic/trainings").json == {
        "file_id": "file_1",
        "target": "survived",
        "params": {"C": 0.5},
        "promote": "manual",
    }


def test_a_push_sends_the_estimator_example_rows_and_the_split(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    x = pd.DataFrame({"age": [29.0, 4.0, 51.0, 33.0], "sibsp": [0, 1, 0, 2]})
    y = pd.Series([1, 1, 0, 0], name="survived")
    estimator = LogisticRegression().fit(x, y)
    split = queuecast.holdout(x, 0.5)
    x, y = x.iloc[split.train], y.iloc[split.train]

    client.push("titanic", estimator, x, y, holdout=split, description="first")

    request = gateway.only_request(PUSH)
    parts = parts_of(request)
    assert request.headers["content-length"] == str(len(request.body))
    assert {name: kind for name, (kind, _) in parts.items() if name != "metadata"} == {
        "model": "application/octet-stream",
        "example": "application/vnd.queuecast.table+json",
    }
    assert skops.io.loads(parts["model"][1]).predict(x).tolist() == estimator.predict(x).tolist()
    answers = json.loads(parts["example"][1])["answers"]
    assert json.loads(parts["example"][1]) == example_table(x) | {"answers": answers}
    assert answers["rows"] == x.to_numpy().tolist()
    assert set(answers["outputs"]) == {"predict", "predict_proba", "decision_function"}
    assert answers["outputs"]["predict_proba"] == estimator.predict_proba(x).tolist()
    assert json.loads(parts["metadata"][1]) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v2", "fraction": 0.5, "columns": ["age", "sibsp"]},
        "description": "first",
    }


@pytest.mark.parametrize("kind", ["frame", "array", "texts"])
def test_a_push_of_all_rows_of_a_split_sends_the_held_out_ones_with_their_target(
    client: Client, gateway: ScriptedGateway, kind: str
) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    frame = pd.DataFrame({"age": np.arange(60.0), "sibsp": np.arange(60) % 3})
    y = pd.Series(np.arange(60) % 2, name="survived")
    texts = [f"word {at}" for at in range(60)]
    x: Any = {"frame": frame, "array": frame.to_numpy(), "texts": texts}[kind]
    split = queuecast.holdout(x)
    rows = [texts[at] for at in split.train] if kind == "texts" else frame.iloc[split.train]
    rows = rows.to_numpy() if kind == "array" else rows
    model = make_pipeline(CountVectorizer(), LogisticRegression()) if kind == "texts" else LogisticRegression()

    client.push("titanic", model.fit(rows, y.iloc[split.train]), x, y, holdout=split, gate={"metric": "roc_auc"})

    parts = parts_of(gateway.only_request(PUSH))
    media_type, content = parts["held_out"]
    read = pd.read_parquet if media_type == "application/vnd.apache.parquet" else partial(pd.read_json, lines=True)
    found = read(io.BytesIO(content))
    assert found["survived"].tolist() == y.iloc[split.test].tolist()
    if kind == "texts":
        assert found["text"].tolist() == [texts[at] for at in split.test]
    else:
        assert found.drop(columns="survived").to_numpy().tolist() == frame.iloc[split.test].to_numpy().tolist()
    assert len(json.loads(parts["example"][1])["rows"]) == len(split.train)
    assert json.loads(parts["metadata"][1])["gate"] == {"metric": "roc_auc"}


def test_a_push_with_another_number_of_rows_than_its_split_is_refused(client: Client) -> None:
    frame = pd.DataFrame({"age": np.arange(60.0)})
    fitted = LogisticRegression().fit(frame, np.arange(60) % 2)

    with pytest.raises(ValueError, match=r"X has 7 rows, expected all 60 of the split, or the \d+ that"):
        client.push("titanic", fitted, frame[:7], holdout=queuecast.holdout(frame))


def test_a_push_of_a_wider_frame_sends_the_columns_of_the_fit(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    wide = pd.DataFrame({"customer": ["a", "b", "c"], "age": [29.0, 4.0, 51.0], "sibsp": [0, 1, 0]})
    x, y = wide[["age", "sibsp"]], pd.Series([1, 1, 0], name="survived")
    estimator = LogisticRegression().fit(x, y)
    rule = queuecast.holdout(wide, columns=["customer"]).rule

    client.push("titanic", estimator, wide, y, holdout=rule)

    parts = parts_of(gateway.only_request(PUSH))
    example = json.loads(parts["example"][1])
    assert example == example_table(x) | {"answers": example["answers"]}
    assert example["answers"]["outputs"]["predict"] == estimator.predict(x).tolist()
    assert json.loads(parts["metadata"][1])["holdout"]["columns"] == ["customer"]


def test_a_push_of_a_column_that_is_not_served_sends_nothing(client: Client, gateway: ScriptedGateway) -> None:
    x = pd.DataFrame({"when": pd.period_range("2026-01", periods=1, freq="M")})

    with pytest.raises(ValueError, match="'when'"):
        client.push("titanic", LogisticRegression(), x)

    assert gateway.requests == []


def test_a_push_of_a_class_asks_for_a_fitted_estimator(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(TypeError, match=r"found a class; expected LogisticRegression\(\)\.fit"):
        client.push("titanic", LogisticRegression, [[1]])

    assert gateway.requests == []


def test_a_push_with_a_wrong_holdout_asks_for_a_split(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(TypeError, match=r"holdout is a bool, expected the return value of queuecast.holdout\(X\)"):
        client.push("titanic", LogisticRegression(), [[1]], [0], holdout=True)  # type: ignore[arg-type]

    assert gateway.requests == []


def test_a_push_without_skops_says_how_to_install_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)

    with pytest.raises(ImportError, match="pip install skops"):
        client.push("titanic", LogisticRegression(), [[1]])


def test_a_pushed_file_is_sent_unchanged(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    (tmp_path / "m.skops").write_bytes(b"PK\x03\x04 model")
    (tmp_path / "rows.csv").write_bytes(b"age\n29\n")

    client.push_file("titanic", tmp_path / "m.skops", tmp_path / "rows.csv", "survived", HoldoutRule())

    parts = parts_of(gateway.only_request(PUSH))
    assert parts["model"] == ("application/octet-stream", b"PK\x03\x04 model")
    assert parts["example"] == ("text/csv", b"age\n29\n")
    assert json.loads(parts["metadata"][1]) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v2", "fraction": 0.2, "columns": []},
    }


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("m.pkl", b"PK\x03\x04"),
        ("m.pickle", b""),
        ("m.joblib", b""),
        ("m.skops", b"\x80\x04\x95"),
        ("m.bin", b"\x78\x9c"),
        ("m.bin", b"\x1f\x8b"),
    ],
)
def test_a_pickle_is_refused_with_the_command_that_converts_it_before_anything_is_sent(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, name: str, start: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(start + b" and more")
    (tmp_path / "rows.csv").write_bytes(b"age\n29\n")

    with pytest.raises(ValueError, match=r"is a pickle.*sio\.dump\(joblib\.load\('.*'\), '.*m\.skops'\)"):
        client.push_file("titanic", path, tmp_path / "rows.csv")

    assert gateway.requests == []


# Jobs and models


def test_jobs_are_read_page_by_page_up_to_the_limit(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET /v1/jobs",
        {"data": [job(id="job_3"), job(id="job_2")], "next_cursor": "job_2"},
        {"data": [job(id="job_1"), job(id="job_0")], "next_cursor": None},
    )

    found = list(client.jobs(state="queued", created_after=datetime(2026, 1, 31, tzinfo=UTC), limit=3))

    assert [job.id for job in found] == ["job_3", "job_2", "job_1"]
    assert gateway.requests[0].query == {"state": "queued", "created_after": "2026-01-31T00:00:00+00:00", "limit": "3"}
    assert gateway.requests[1].query["cursor"] == "job_2"


def test_jobs_are_filtered_by_metadata(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/jobs", {"data": [], "next_cursor": None})

    assert list(client.jobs(metadata={"run": "nightly", "try": 1})) == []
    assert json.loads(gateway.requests[0].query["metadata"]) == {"run": "nightly", "try": 1}


def test_an_unknown_filter_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="no filter 'status'"):
        client.jobs(status="queued")


def test_a_name_is_escaped_in_the_path(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(ApiError):
        client.model("../jobs?state=queued")

    assert gateway.requests[0].path == "/v1/models/..%2Fjobs%3Fstate%3Dqueued"


def test_models_and_versions_are_lists(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", {"data": [{"name": "titanic"}], "next_cursor": None})
    gateway.on("GET /v1/models/titanic/versions", {"data": [{"version": 2}, {"version": 1}], "next_cursor": None})

    assert [model["name"] for model in client.models()] == ["titanic"]
    assert [manifest["version"] for manifest in client.versions("titanic")] == [2, 1]


def test_a_promotion_sends_the_generation_that_it_read(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"generation": 12}, headers={"ETag": '"12"'}))
    gateway.on("PUT /v1/models/titanic/aliases/champion", {"name": "titanic", "champion": 3})

    assert client.promote("titanic", 3, reason="better")["champion"] == 3

    request = gateway.only_request("PUT /v1/models/titanic/aliases/champion")
    assert request.headers["if-match"] == '"12"'
    assert request.json == {"version": 3, "reason": "better"}


def test_a_promotion_that_lost_a_race_is_not_forced(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"generation": 12}))
    gateway.on("PUT /v1/models/titanic/aliases/champion", problem(412, "Changed meanwhile"))

    with pytest.raises(ApiError, match="412 Changed meanwhile"):
        client.promote("titanic", 3)

    assert len(gateway.requests) == 2


# Parameters of a training


def test_parameters_that_json_cannot_say_are_spelled_so_that_the_worker_reads_them(
    client: Client, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))

    params = {"class_weight": {0: 1.0, np.int64(1): np.float64(2.0)}, "ngram_range": (1, 2), "C": np.array([1])}
    client.train("titanic", tmp_path / "titanic.csv", "survived", params)

    sent = gateway.only_request("POST /v1/models/titanic/trainings").json["params"]
    assert sent == {"class_weight": {"0": 1.0, "1": 2.0}, "ngram_range": [1, 2], "C": [1]}


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"missing_values": float("nan")}, "the parameter missing_values is nan, which JSON cannot hold"),
        ({"model": LogisticRegression()}, "the parameter model is a LogisticRegression, expected a number"),
        ({"dtype": np.float32}, "the parameter dtype is a class; write its name: 'float32'"),
        ({"func": len}, "the parameter func is a builtin_function_or_method, expected a number"),
        ({1: 2}, "the parameter 1 is no name"),
    ],
    ids=["nan", "estimator", "class", "function", "name"],
)
def test_a_parameter_that_json_cannot_hold_is_refused_before_the_upload(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, params: dict[str, object], expected: str
) -> None:
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")

    with pytest.raises(ValueError, match=expected):
        client.train("titanic", tmp_path / "titanic.csv", "survived", params)

    assert gateway.requests == []


# Deletions


def test_a_version_is_deleted_with_its_reason(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("DELETE /v1/models/titanic/versions/2", Answer(b"", 204))

    assert client.delete_version("titanic", 2, "holds names") is None

    assert gateway.only_request("DELETE /v1/models/titanic/versions/2").query == {"reason": "holds names"}


def test_a_model_is_deleted_at_any_generation(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("DELETE /v1/models/titanic", Answer(b"", 204))

    client.delete_model("titanic")

    request = gateway.only_request("DELETE /v1/models/titanic")
    assert (request.query, request.headers["if-match"]) == ({}, "*")


def test_a_deletion_whose_answer_was_lost_is_sent_again(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("DELETE /v1/models/titanic/versions/2", Answer(breaks=True), Answer(b"", 204))

    client.delete_version("titanic", 2)


@pytest.mark.parametrize(("status", "code"), [(409, "in_use"), (404, "unknown_version")])
def test_a_refused_deletion_is_an_error(client: Client, gateway: ScriptedGateway, status: int, code: str) -> None:
    gateway.on("DELETE /v1/models/titanic/versions/2", problem(status, "No", code=code))

    with pytest.raises(ApiError) as caught:
        client.delete_version("titanic", 2)

    assert (caught.value.status, caught.value.problem["code"]) == (status, code)


CHAMPION = {"name": "titanic", "champion": 3, "aliases": {"champion": 3}, "generation": 1, "versions": 3, "latest": 3}


def test_a_parameter_that_the_champion_lacks_is_refused_before_the_upload(
    client: Client, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")
    gateway.on("GET /v1/models/titanic", CHAMPION)
    gateway.on("GET /v1/models/titanic/versions/3", {"params": ["model", "model__C"]})

    with pytest.raises(ValueError, match="found an unknown parameter 'model__c', expected 'model__C'"):
        client.train("titanic", tmp_path / "titanic.csv", "survived", {"model__c": 2})

    assert gateway.requests_to("POST /v1/files") == []


@pytest.mark.parametrize("manifest", [{"params": ["model", "model__C"]}, {}], ids=["known", "of an earlier release"])
def test_parameters_of_the_champion_are_sent(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, manifest: dict[str, object]
) -> None:
    (tmp_path / "titanic.csv").write_text("age,survived\n29,1\n")
    gateway.on("GET /v1/models/titanic", CHAMPION)
    gateway.on("GET /v1/models/titanic/versions/3", manifest)
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))

    client.train("titanic", tmp_path / "titanic.csv", "survived", {"model__C": 2})

    assert gateway.only_request("POST /v1/models/titanic/trainings").json["params"] == {"model__C": 2}


# Columns that the model does not have


def test_ignored_columns_are_a_warning_once(client: Client, gateway: ScriptedGateway) -> None:
    ignored = {"ignored_columns": {"names": ["note", "id"], "count": 2}}
    gateway.on("POST /v1/models/titanic/predictions", Answer(job(**ignored), 202))
    gateway.on("GET /v1/jobs/job_1", job("succeeded", result={"predictions": [0]}, **ignored))
    text = "columns that the model does not have were ignored: note, id"

    with pytest.warns(IgnoredColumnsWarning, match=text) as raised:
        handle = client.predict("titanic", [{"age": 1, "note": "x", "id": 2}])
    handle.result()

    assert [warning.filename for warning in raised] == [__file__]
    assert handle.ignored_columns == ["note", "id"]
    assert gateway.requests[0].json["inputs"] == [{"age": 1, "note": "x", "id": 2}]


def test_columns_that_only_a_worker_finds_are_a_warning_with_the_result(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.on("POST /v1/files", {"id": "file_1"})
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))
    ended = job("succeeded", type="training", result={}, ignored_columns={"names": ["note"], "count": 1})
    gateway.on("GET /v1/jobs/job_1", ended)
    frame = pd.DataFrame({"age": [1.0], "note": ["x"], "survived": [1]})

    training = client.train("titanic", frame, "survived")
    with pytest.warns(IgnoredColumnsWarning, match="a column that the model does not have was ignored: note"):
        training.result()


@pytest.mark.parametrize("kind", ["predictions", "batches", "trainings"])
def test_the_choice_is_in_the_request(client: Client, gateway: ScriptedGateway, kind: str) -> None:
    gateway.on("POST /v1/files", {"id": "file_1"})
    gateway.on(f"POST /v1/models/titanic/{kind}", Answer(job(), 202))
    frame = pd.DataFrame({"age": [1.0]})
    calls = {
        "predictions": lambda: client.predict("titanic", frame, extra_columns="refuse"),
        "batches": lambda: client.predict_file("titanic", frame, extra_columns="refuse"),
        "trainings": lambda: client.train("titanic", frame, "survived", extra_columns="refuse"),
    }

    calls[kind]()

    assert gateway.requests[-1].json["extra_columns"] == "refuse"
