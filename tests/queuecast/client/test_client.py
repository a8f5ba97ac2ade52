import base64
import hashlib
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import skops.io
import stamina
from sklearn.linear_model import LogisticRegression

import queuecast
from queuecast.client import ApiError, Client, GatewayUnreachable, JobFailed
from queuecast.client.csv import csv_head
from queuecast.client.json_rows import example_table, json_rows, target_names
from queuecast.domain.holdout import HoldoutRule
from tests.queuecast.scripted_gateway import Answer, Asked, ScriptedGateway, job, problem

PREDICT = "POST /v1/models/titanic/predictions"
JOB = "GET /v1/jobs/job_1"
PUSH = "POST /v1/models/titanic/versions"
TRAIN = "POST /v1/models/titanic/trainings"
RESULT = {"method": "predict", "predictions": [1]}


def parts_of(asked: Asked) -> dict[str, tuple[str, bytes]]:
    """The parts of a form: name -> (content type, bytes)."""
    head = f"Content-Type: {asked.headers['content-type']}\r\n\r\n".encode()
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_content_type(),
            bytes(part.get_payload(decode=True)),
        )
        for part in message_from_bytes(head + asked.body).get_payload()
    }


# Rows


def test_a_data_frame_becomes_rows_of_plain_values_with_null_for_everything_missing() -> None:
    frame = pd.DataFrame(
        {
            "age": [29.0, np.nan],
            "sibsp": np.array([0, 1], dtype="int64"),
            "parch": pd.array([2, None], dtype="Int64"),
            "alone": pd.array([True, None], dtype="boolean"),
            "sex": ["female", None],
            "port": pd.Categorical(["S", None], categories=["S", "C"]),
        }
    )

    assert json_rows(frame) == [
        {"age": 29.0, "sibsp": 0, "parch": 2, "alone": True, "sex": "female", "port": "S"},
        {"age": None, "sibsp": 1, "parch": None, "alone": None, "sex": None, "port": None},
    ]


def test_the_scalars_of_a_row_are_python_values() -> None:
    row = json_rows([{"a": np.int64(1), "b": np.float32(0.5), "c": np.bool_(True), "d": pd.NA, "e": np.str_("x")}])[0]

    assert [type(value) for value in row.values()] == [int, float, bool, type(None), str]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([[1.0, np.nan]]), [[1.0, None]]),
        (pd.DataFrame([[1, 2]]), [[1, 2]]),  # column names 0 and 1: scikit-learn sees no names
        (scipy.sparse.csr_matrix([[0, 3]]), [[0, 3]]),
        ([(1, "a")], [[1, "a"]]),
        ([np.array([1, 2])], [[1, 2]]),
        ([pd.Series({"a": 1.5, "b": None})], [{"a": 1.5, "b": None}]),
    ],
    ids=["array", "frame without names", "sparse", "tuples", "arrays", "series"],
)
def test_rows_are_taken_in_every_shape_that_scikit_learn_takes(rows: Any, expected: Any) -> None:
    assert json_rows(rows) == expected


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ({"age": 29}, TypeError, r"rows is a dict.*write \[row\]"),
        ("titanic.csv", TypeError, "rows is a str"),
        ([1, 2], TypeError, "row 0 is a int"),
        (np.array([1.0, 2.0]), ValueError, r"shape 2, expected 2 dimensions.*reshape\(1, -1\)"),
        ([{"fare": float("inf")}], ValueError, "row 0, column 'fare': inf"),
        ([{"a": 1}, {"when": datetime.now(UTC)}], ValueError, "row 1, column 'when': a datetime"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "column 'a' occurs more than once"),
    ],
)
def test_what_cannot_be_a_row_is_refused_with_its_place(rows: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        json_rows(rows)


def test_rows_that_cannot_be_sent_are_refused_before_anything_is_sent(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(ValueError, match="inf cannot be sent"):
        client.predict("titanic", [[float("inf")]])

    assert gateway.asked == []


# The table of example rows


def test_the_example_table_of_a_frame_keeps_dtypes_and_categories() -> None:
    frame = pd.DataFrame(
        {
            "sibsp": np.array([1, 0], dtype="int64"),
            "age": [np.nan, 4.5],
            "port": pd.Categorical(["S", None], categories=["C", "S"]),
            "parch": pd.array([None, 2], dtype="Int64"),
            "alone": [True, False],
            "cabin": pd.Series([None, "C22"], dtype=object),
        }
    )

    assert example_table(frame) == {
        "layout": "frame",
        "columns": [
            {"name": "sibsp", "dtype": "int64"},
            {"name": "age", "dtype": "float64"},
            {"name": "port", "dtype": "category", "categories": ["C", "S"]},
            {"name": "parch", "dtype": "Int64"},
            {"name": "alone", "dtype": "bool"},
            {"name": "cabin", "dtype": "object"},
        ],
        "rows": [[1, None, "S", None, True, None], [0, 4.5, None, 2, False, "C22"]],
    }


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.array([[1.5, 2.0]], dtype="float32"), "float32"),
        (np.array([["a", "b"]]), "<U1"),
        (pd.DataFrame([[1, 2]]), "int64"),
        (scipy.sparse.coo_matrix([[1.0, 2.0]]), "float64"),
        ([[True, False]], "bool"),
        ([[1, 2]], "int64"),
        ([[1, None]], "float64"),
        ([[1, "a"]], "object"),
    ],
)
def test_the_example_table_of_anything_but_a_named_frame_is_an_array_of_one_dtype(x: Any, dtype: str) -> None:
    table = example_table(x)

    assert table["layout"] == "array"
    assert table["columns"] == [{"name": "x0", "dtype": dtype}, {"name": "x1", "dtype": dtype}]


@pytest.mark.parametrize(
    "x", [pd.DataFrame({"a": range(501)}), np.zeros((501, 1)), [[0]] * 501, scipy.sparse.csr_matrix((501, 1))]
)
def test_the_example_table_has_at_most_500_rows(x: Any) -> None:
    assert len(example_table(x)["rows"]) == 500


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.to_datetime(["2026-01-31"]), "datetime64"),
        (pd.to_timedelta(["1h"]), "timedelta64"),
        ([1 + 2j], "complex128"),
        (pd.arrays.SparseArray([1.0]), "Sparse"),
    ],
)
def test_a_dtype_that_json_cannot_carry_is_refused_by_name(values: Any, dtype: str) -> None:
    with pytest.raises(ValueError, match=f"column 'when' has the dtype {dtype}"):
        example_table(pd.DataFrame({"when": values}))


@pytest.mark.parametrize(
    ("y", "names"),
    [
        (None, None),
        (pd.Series([1], name="survived"), ["survived"]),
        (pd.Series([1]), ["target"]),
        (pd.DataFrame({"a": [1], "b": [2]}), ["a", "b"]),
        (np.array([1]), ["target"]),
        ([1, 0], ["target"]),
        (np.zeros((2, 2)), ["target0", "target1"]),
    ],
)
def test_the_target_is_named_as_y_is(y: Any, names: list[str] | None) -> None:
    assert target_names(y) == names


def test_the_head_of_a_csv_file_counts_records_and_not_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'name,age\r\n"two\nlines \xe9",1\r\n' + b"x,2\r\n" * 60_000)

    assert csv_head(path) == b'name,age\r\n"two\nlines \xe9",1\r\n' + b"x,2\r\n" * 49_999


def test_the_head_of_a_csv_file_may_have_lone_carriage_returns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"name,age\r" + b"x,2\r" * 60_000)

    assert csv_head(path) == b"name,age\r" + b"x,2\r" * 50_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PAR1\x15\x04", r"rows.csv is a Parquet file, expected CSV: pandas.read_parquet\("),
        (b'name\n"' + b"x" * 200_000, "line 2 of .*rows.csv cannot be read as CSV: field larger"),
        ("\ufeffgrün,age,grün\n1,2,3\n".encode(), "the column 'grün' is in the file more than once"),
    ],
    ids=["parquet", "endless", "twice"],
)
def test_an_example_that_is_no_csv_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "rows.csv").write_bytes(content)

    with pytest.raises(ValueError, match=words):
        csv_head(tmp_path / "rows.csv")


# Predicting and waiting


def test_predict_sends_rows_method_version_and_metadata(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))

    handle = client.predict("titanic", [{"age": np.nan}], method="predict_proba", version=2, metadata={"run": 7})

    asked = gateway.only(PREDICT)
    assert asked.json == {
        "inputs": [{"age": None}],
        "method": "predict_proba",
        "version": 2,
        "metadata": {"run": 7},
    }
    assert asked.headers["content-type"] == "application/json"
    assert "prefer" not in asked.headers
    assert (handle.id, handle.state) == ("job_1", "queued")


def test_a_result_that_came_within_the_wait_costs_one_request(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, job("succeeded", result=RESULT))

    assert client.predict("titanic", [[1]], wait_s=90).result() == RESULT
    assert [asked.headers["prefer"] for asked in gateway.asked] == ["wait=30"]


def test_waiting_parks_one_request_at_a_time(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))
    gateway.on(JOB, job("running", revision=2), job("succeeded", revision=3, result=RESULT))

    assert client.predict("titanic", [[1]]).result() == RESULT
    assert [asked.headers["prefer"] for asked in gateway.asked_for(JOB)] == ["wait=30", "wait=30"]


def test_a_watcher_hears_of_each_change_once(client: Client, gateway: ScriptedGateway) -> None:
    fitting = job("running", revision=2, progress={"done": 2, "total": 7, "unit": "stages"})
    gateway.on(JOB, job(), fitting, job("succeeded", revision=3, result=RESULT))
    seen = []

    client.job("job_1").wait(on_change=lambda changed: seen.append((changed.state, changed.body["progress"])))

    assert seen == [("queued", None), ("running", fitting["progress"]), ("succeeded", None)]


def test_a_gateway_that_does_not_park_is_not_asked_in_a_busy_loop(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job())

    with pytest.raises(TimeoutError, match=r"job_1 is still queued after 0\.3 s"):
        client.job("job_1").wait(timeout_s=0.3)

    assert len(gateway.asked) <= 6


def test_waiting_for_no_time_looks_once(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result(timeout_s=0) == RESULT


def test_a_wait_goes_on_without_parking_when_too_many_wait(client: Client, gateway: ScriptedGateway) -> None:
    full = problem(503, "Too many requests are waiting", code="too_many_waiters")
    full.headers["Retry-After"] = "1"
    gateway.on(JOB, job(), full, job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result() == RESULT
    assert [asked.headers.get("prefer") for asked in gateway.asked] == [None, "wait=30", None]


def test_a_wait_outlives_a_gateway_that_restarts(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), Answer(breaks=True), Answer(breaks=True), job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result() == RESULT


def test_a_result_that_is_not_in_the_body_is_fetched(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("succeeded"))
    gateway.on(f"{JOB}/result", RESULT)

    assert client.job("job_1").result() == RESULT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (job("canceled"), "job_1 canceled"),
        (job("expired"), "job_1 expired"),
        (
            job("failed", error={"title": "The job failed", "code": "run_failed", "detail": "fit raised"}),
            "job_1 failed: fit raised",
        ),
    ],
    ids=["canceled", "expired", "failed"],
)
def test_a_job_without_a_result_raises_with_its_problem(
    client: Client, gateway: ScriptedGateway, body: dict[str, Any], words: str
) -> None:
    gateway.on(JOB, body)

    with pytest.raises(JobFailed) as failed:
        client.job("job_1").result()

    assert str(failed.value) == words
    assert failed.value.problem["code"] in (body["state"], "run_failed")


def test_cancel_shows_the_state_after_it(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running"))
    gateway.on("POST /v1/jobs/job_1/cancel", Answer(job("canceling", revision=2), 202))

    assert client.job("job_1").cancel().state == "canceling"


def test_a_retry_is_another_job(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))
    first = client.job("job_1")

    again = first.retry()

    assert (first.id, first.state, again.id, again.body["retry_of"]) == ("job_1", "failed", "job_2", "job_1")


def test_a_job_that_has_its_answer_is_not_retried(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("succeeded"))
    gateway.on("POST /v1/jobs/job_1/retry", problem(409, "The job's state does not allow this", code="illegal_move"))

    with pytest.raises(ApiError, match="409 The job's state does not allow this"):
        client.job("job_1").retry()


def test_a_job_tells_its_timeline(client: Client, gateway: ScriptedGateway) -> None:
    moment = {"event": "accepted", "at": "2026-01-31T12:00:00.000Z", "attempt": 0, "worker": None, "detail": ""}
    gateway.on(JOB, job(timeline=[moment]), job())

    assert client.job("job_1").timeline == [moment]
    assert client.job("job_1").timeline == []  # of a gateway that keeps none


def test_dead_letters_come_page_after_page_and_one_can_be_replayed(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET /v1/dead-letters",
        {"data": [job("failed", id="job_3"), job("failed", id="job_2")], "next_cursor": "2"},
        {"data": [job("failed", id="job_1")], "next_cursor": None},
    )
    gateway.on("POST /v1/dead-letters/job_3/replay", Answer(job(id="job_4", retry_of="job_3"), 202))

    letters = list(client.dead_letters())
    again = client.replay(letters[0].id)

    assert [letter.id for letter in letters] == ["job_3", "job_2", "job_1"]
    assert gateway.asked_for("GET /v1/dead-letters")[1].query["cursor"] == "2"
    assert (again.id, again.body["retry_of"]) == ("job_4", "job_3")


def test_the_queues_are_told_as_they_are(client: Client, gateway: ScriptedGateway) -> None:
    found = {"data": [], "limits": {}, "dead_letters": 0, "next_cursor": None}
    gateway.on("GET /v1/queues", found)

    assert client.queues() == found


# Uploads, trainings and pushes


def test_an_upload_has_a_length_and_a_digest(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    data = b"age,survived\n29,1\n" * 10_000
    (tmp_path / "titanic.csv").write_bytes(data)
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))

    client.upload(tmp_path / "titanic.csv")

    asked = gateway.only("POST /v1/files")
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert asked.body == data
    assert asked.headers["content-length"] == str(len(data))
    assert "transfer-encoding" not in asked.headers
    assert asked.headers["content-digest"] == f"sha-256=:{digest}:"
    assert asked.headers["content-type"] == "text/csv"
    assert asked.query == {"name": "titanic.csv"}


def test_an_upload_that_was_refused_for_now_is_sent_again_whole(
    client: Client, gateway: ScriptedGateway, tmp_path: Path
) -> None:
    (tmp_path / "titanic.csv").write_bytes(b"age\n29\n")
    busy = problem(503, "Not available now")
    busy.headers["Retry-After"] = "0"
    gateway.on("POST /v1/files", busy, Answer({"id": "file_1"}, 201))

    client.upload(tmp_path / "titanic.csv")

    assert [asked.body for asked in gateway.asked] == [b"age\n29\n", b"age\n29\n"]


def test_a_training_on_a_frame_uploads_it_and_names_its_file(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    gateway.on("POST /v1/models/titanic/trainings", Answer(job(type="training"), 202))
    frame = pd.DataFrame({"age": [29.5, np.nan], "survived": [1, 0]})

    client.train("titanic", frame, "survived", params={"C": np.float64(0.5)}, promote="manual")

    assert gateway.only("POST /v1/files").body == b"age,survived\n29.5,1\n,0\n"
    assert gateway.only("POST /v1/models/titanic/trainings").json == {
        "file_id": "file_1",
        "target": "survived",
        "params": {"C": 0.5},
        "promote": "manual",
    }


def test_a_push_carries_the_estimator_its_rows_and_its_split(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    x = pd.DataFrame({"age": [29.0, 4.0, 51.0, 33.0], "sibsp": [0, 1, 0, 2]})
    y = pd.Series([1, 1, 0, 0], name="survived")
    estimator = LogisticRegression().fit(x, y)

    client.push("titanic", estimator, x, y, holdout=queuecast.holdout(x), description="first")

    asked = gateway.only(PUSH)
    parts = parts_of(asked)
    assert asked.headers["content-length"] == str(len(asked.body))
    assert {name: kind for name, (kind, _) in parts.items() if name != "metadata"} == {
        "model": "application/octet-stream",
        "example": "application/vnd.queuecast.table+json",
    }
    assert skops.io.loads(parts["model"][1]).predict(x).tolist() == estimator.predict(x).tolist()
    assert json.loads(parts["example"][1]) == example_table(x)
    assert json.loads(parts["metadata"][1]) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v1", "fraction": 0.2, "columns": ["age", "sibsp"]},
        "description": "first",
    }


def test_a_push_of_a_date_column_sends_nothing(client: Client, gateway: ScriptedGateway) -> None:
    x = pd.DataFrame({"when": pd.to_datetime(["2026-01-31"])})

    with pytest.raises(ValueError, match="'when'"):
        client.push("titanic", LogisticRegression(), x)

    assert gateway.asked == []


def test_a_push_of_a_class_says_that_it_takes_what_was_fitted(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(TypeError, match=r"found a class; expected LogisticRegression\(\)\.fit"):
        client.push("titanic", LogisticRegression, [[1]])

    assert gateway.asked == []


def test_a_push_with_a_holdout_that_is_none_says_what_it_takes(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(TypeError, match=r"holdout is a bool, expected the return value of queuecast.holdout\(X\)"):
        client.push("titanic", LogisticRegression(), [[1]], [0], holdout=True)  # type: ignore[arg-type]

    assert gateway.asked == []


def test_a_push_without_skops_says_how_to_get_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)

    with pytest.raises(ImportError, match="pip install skops"):
        client.push("titanic", LogisticRegression(), [[1]])


def test_a_pushed_file_goes_as_it_is(client: Client, gateway: ScriptedGateway, tmp_path: Path) -> None:
    gateway.on(PUSH, Answer(job(type="import"), 202))
    (tmp_path / "m.skops").write_bytes(b"PK\x03\x04 model")
    (tmp_path / "rows.csv").write_bytes(b"age\n29\n")

    client.push_file("titanic", tmp_path / "m.skops", tmp_path / "rows.csv", "survived", HoldoutRule())

    parts = parts_of(gateway.only(PUSH))
    assert parts["model"] == ("application/octet-stream", b"PK\x03\x04 model")
    assert parts["example"] == ("text/csv", b"age\n29\n")
    assert json.loads(parts["metadata"][1]) == {
        "target": ["survived"],
        "holdout": {"method": "rowhash-v1", "fraction": 0.2, "columns": []},
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
def test_a_pickle_is_refused_before_sending_with_the_way_out(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, name: str, start: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(start + b" and more")
    (tmp_path / "rows.csv").write_bytes(b"age\n29\n")

    with pytest.raises(ValueError, match=r"is a pickle.*sio\.dump\(joblib\.load\('.*'\), '.*m\.skops'\)"):
        client.push_file("titanic", path, tmp_path / "rows.csv")

    assert gateway.asked == []


# Jobs and models


def test_jobs_come_page_after_page_up_to_the_limit(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET /v1/jobs",
        {"data": [job(id="job_3"), job(id="job_2")], "next_cursor": "job_2"},
        {"data": [job(id="job_1"), job(id="job_0")], "next_cursor": None},
    )

    found = list(client.jobs(state="queued", created_after=datetime(2026, 1, 31, tzinfo=UTC), limit=3))

    assert [each.id for each in found] == ["job_3", "job_2", "job_1"]
    assert gateway.asked[0].query == {"state": "queued", "created_after": "2026-01-31T00:00:00+00:00", "limit": "3"}
    assert gateway.asked[1].query["cursor"] == "job_2"


def test_a_filter_that_there_is_not_is_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="no filter 'status'"):
        client.jobs(status="queued")


def test_a_name_cannot_leave_its_place_in_the_path(client: Client, gateway: ScriptedGateway) -> None:
    with pytest.raises(ApiError):
        client.model("../jobs?state=queued")

    assert gateway.asked[0].path == "/v1/models/..%2Fjobs%3Fstate%3Dqueued"


def test_models_and_versions_are_lists(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", {"data": [{"name": "titanic"}], "next_cursor": None})
    gateway.on("GET /v1/models/titanic/versions", {"data": [{"version": 2}, {"version": 1}], "next_cursor": None})

    assert [model["name"] for model in client.models()] == ["titanic"]
    assert [manifest["version"] for manifest in client.versions("titanic")] == [2, 1]


def test_a_promotion_says_which_generation_it_saw(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"generation": 12}, headers={"ETag": '"12"'}))
    gateway.on("PUT /v1/models/titanic/aliases/champion", {"name": "titanic", "champion": 3})

    assert client.promote("titanic", 3, reason="better")["champion"] == 3

    asked = gateway.only("PUT /v1/models/titanic/aliases/champion")
    assert asked.headers["if-match"] == '"12"'
    assert asked.json == {"version": 3, "reason": "better"}


def test_a_promotion_that_came_too_late_is_not_forced(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer({"generation": 12}))
    gateway.on("PUT /v1/models/titanic/aliases/champion", problem(412, "Changed meanwhile"))

    with pytest.raises(ApiError, match="412 Changed meanwhile"):
        client.promote("titanic", 3)

    assert len(gateway.asked) == 2


# Errors and retries


def test_an_error_is_one_line_with_the_first_places() -> None:
    errors = [{"pointer": f"/inputs/{row}/age", "detail": "expected number, found 'x'"} for row in range(6)]

    line = str(ApiError(422, {"title": "invalid input", "detail": "many things", "errors": errors[:1]}))
    more = str(ApiError(422, {"title": "invalid input", "errors": errors}))

    assert line == "422 invalid input: /inputs/0/age: expected number, found 'x'"
    assert more.endswith("/inputs/2/age: expected number, found 'x', and 3 more")


def test_an_error_carries_status_and_problem(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/x", problem(404, "No such model", detail="no model\nx", code="unknown_model"))

    with pytest.raises(ApiError) as refused:
        client.model("x")

    assert str(refused.value) == "404 No such model: no model x"
    assert (refused.value.status, refused.value.problem["code"]) == (404, "unknown_model")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(b"<h1>Bad gateway</h1>", 502), "502 Bad Gateway: .*is not a queuecast gateway"),
        (Answer(b"", 301, {"Location": "https://other/"}), "301 Moved Permanently: .*moved to https://other/"),
        (Answer(b"<h1>It works</h1>"), "200 OK: .*the answer is not JSON"),
    ],
    ids=["proxy", "redirect", "another server"],
)
def test_a_stranger_at_the_address_is_named_as_one(
    client: Client, gateway: ScriptedGateway, answer: Answer, words: str
) -> None:
    gateway.on("GET /v1/models/x", answer)

    with pytest.raises(ApiError, match=words):
        client.model("x")


@pytest.mark.parametrize("status", [429, 503])
def test_a_submit_that_was_refused_for_now_is_sent_again(client: Client, gateway: ScriptedGateway, status: int) -> None:
    busy = problem(status, "later")
    busy.headers["Retry-After"] = "0"
    gateway.on(PREDICT, busy, busy, Answer(job(), 202))

    assert client.predict("titanic", [[1]]).state == "queued"
    assert len(gateway.asked) == 3


def test_retry_after_is_waited_for(client: Client, gateway: ScriptedGateway) -> None:
    busy = problem(503, "later")
    busy.headers["Retry-After"] = "1"
    gateway.on("GET /v1/models", busy, {"data": [], "next_cursor": None})
    began = time.monotonic()

    with stamina.set_testing(False):
        client.models()

    assert time.monotonic() - began >= 1


def test_a_long_retry_after_is_told_and_not_slept_through(client: Client, gateway: ScriptedGateway) -> None:
    busy = problem(429, "Too many requests")
    busy.headers["Retry-After"] = "3600"
    gateway.on("GET /v1/models", busy)

    with pytest.raises(ApiError, match=r"429 Too many requests \(again in 3600 s\)") as refused:
        client.models()

    assert refused.value.retry_after_s == 3600
    assert len(gateway.asked) == 1


def test_a_gateway_that_stays_busy_is_given_up(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models", problem(503, "Not available now"))

    with pytest.raises(ApiError, match="503 Not available now"):
        client.models()

    assert len(gateway.asked) == 5


def test_a_read_over_a_broken_connection_is_done_again(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on("GET /v1/models/titanic", Answer(breaks=True), {"name": "titanic"})

    assert client.model("titanic") == {"name": "titanic"}


def submitted(client: Client, kind: str, folder: Path) -> str:
    """Submits one of each kind and says which call that is."""
    if kind == "prediction":
        client.predict("titanic", [[1]])
        return PREDICT
    if kind == "training":
        client.train("titanic", pd.DataFrame({"age": [1.0], "survived": [1]}), "survived")
        return TRAIN
    if kind == "push":
        client.push("titanic", LogisticRegression().fit([[0.0], [1.0]], [0, 1]), [[0.0], [1.0]])
        return PUSH
    (folder / "m.skops").write_bytes(b"PK\x03\x04 model")
    (folder / "rows.csv").write_bytes(b"age\n29\n")
    client.push_file("titanic", folder / "m.skops", folder / "rows.csv", "survived")
    return PUSH


def script_submits(gateway: ScriptedGateway, *answers: Answer) -> None:
    gateway.on("POST /v1/files", Answer({"id": "file_1"}, 201))
    for call in (PREDICT, TRAIN, PUSH):
        gateway.on(call, *answers, Answer(job(), 202))


SUBMITS = ["prediction", "training", "push", "push of a file"]


@pytest.mark.parametrize("kind", SUBMITS)
def test_every_submit_carries_a_key_of_its_own(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, kind: str
) -> None:
    script_submits(gateway)

    submitted(client, kind, tmp_path)
    call = submitted(client, kind, tmp_path)

    keys = [uuid.UUID(asked.headers["idempotency-key"]) for asked in gateway.asked_for(call)]
    assert (len(set(keys)), {key.version for key in keys}) == (2, {4})


@pytest.mark.parametrize("kind", SUBMITS)
@pytest.mark.parametrize("status", [None, 429, 503], ids=["broken connection", "429", "503"])
def test_a_submit_is_sent_again_whole_and_with_the_same_key(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, kind: str, status: int | None
) -> None:
    trouble = Answer(breaks=True) if status is None else problem(status, "later")
    trouble.headers["Retry-After"] = "0"
    script_submits(gateway, trouble, trouble)

    call = submitted(client, kind, tmp_path)

    asked = gateway.asked_for(call)
    assert (len(asked), len({each.headers["idempotency-key"] for each in asked})) == (3, 1)
    whole = [parts_of(each) if call == PUSH else each.json for each in asked]
    assert whole == [whole[0]] * 3


def test_a_submit_over_a_connection_that_stays_broken_is_given_up_and_said_to_be_perhaps_accepted(
    client: Client, gateway: ScriptedGateway
) -> None:
    gateway.on(PREDICT, Answer(breaks=True))

    with pytest.raises(GatewayUnreachable, match=r"broke during POST .*may have been accepted"):
        client.predict("titanic", [[1]])

    assert len(gateway.asked) == 5


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.job("job_1").retry(),
        lambda client: client.job("job_1").cancel(),
        lambda client: client.replay("job_1"),
        lambda client: client.rollback("titanic"),
    ],
    ids=["retry", "cancel", "replay", "rollback"],
)
def test_what_has_no_key_is_not_sent_again_over_a_broken_connection(
    client: Client, gateway: ScriptedGateway, act: Callable[[Client], object]
) -> None:
    gateway.on(JOB, job("failed"))
    for call in ("jobs/job_1/retry", "jobs/job_1/cancel", "dead-letters/job_1/replay", "models/titanic/rollback"):
        gateway.on(f"POST /v1/{call}", Answer(breaks=True), Answer(job(), 202))

    with pytest.raises(GatewayUnreachable, match="may have been accepted"):
        act(client)

    (posted,) = [asked for asked in gateway.asked if asked.method == "POST"]
    assert "idempotency-key" not in posted.headers


def test_a_refusal_of_the_input_is_not_tried_again(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, problem(422, "The input does not fit"))

    with pytest.raises(ApiError, match="422"):
        client.predict("titanic", [[1]])

    assert len(gateway.asked) == 1


def test_no_gateway_is_said_with_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"

    with Client(url) as client, pytest.raises(GatewayUnreachable, match=f"no gateway at {url}.*is it running") as lost:
        client.predict("titanic", [[1]])

    assert lost.value.__suppress_context__  # or a notebook shows 80 lines of httpx2 before the one that helps


def test_a_gateway_that_is_silent_is_not_waited_for_for_ever() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1) as client,
        pytest.raises(GatewayUnreachable, match=r"did not answer GET /v1/models/x within 0\.1 s"),
    ):
        client.model("x")


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://"])
def test_an_address_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected something like http://"):
        Client(url)


def test_the_address_comes_from_the_environment_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUECAST_URL", "http://models.example:8000/")

    with Client() as client:
        assert client.url == "http://models.example:8000/"


def test_a_proxy_is_not_asked_for_this_machine(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    gateway.on("GET /v1/models", {"data": [], "next_cursor": None})

    with Client(gateway.url) as client:
        assert client.models() == []


def test_the_client_needs_neither_the_servers_libraries_nor_the_data_ones() -> None:
    heavy = "redis celery kombu flask sklearn numpy pandas scipy skops joblib queuecast.config"
    code = f"import sys, queuecast.cli; print([m for m in '{heavy}'.split() if m in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "[]"
