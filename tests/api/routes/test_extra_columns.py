"""Columns that the model does not have: ignored with a note in the job, or refused before anything is queued."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import PREDICTIONS, ROW, Gateway

BATCHES = "/v1/models/titanic/batches"
TRAININGS = "/v1/models/titanic/trainings"
NAMES = [f"note{index:02}" for index in range(30)]
EXTRA = {"cabin": {"deck": [1, 2]}, "ticket": 'a"b\n', "": None}
NOTE = {"names": ["", "cabin", "ticket"], "count": 3}  # the test client sorts the keys


def upload(http: FlaskClient, content: bytes, media_type: str) -> str:
    file_id: str = http.post("/v1/files", data=content, content_type=media_type).json["id"]
    return file_id


def table(rows: list[dict[str, Any]], media_type: str) -> bytes:
    if media_type == "text/csv":
        head = ",".join(rows[0])
        return "\n".join(
            [head, *(",".join("" if v is None else str(v) for v in row.values()) for row in rows)]
        ).encode()
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("path", [PREDICTIONS, BATCHES])
def test_extra_columns_of_rows_are_ignored_with_a_note(gateway: Gateway, http: FlaskClient, path: str) -> None:
    answer = http.post(path, json={"inputs": [ROW, EXTRA | ROW, ROW | {"ticket": 1}]})

    assert (answer.status_code, answer.json["ignored_columns"]) == (202, NOTE)
    assert http.get(f"/v1/jobs/{answer.json['id']}").json["ignored_columns"] == NOTE
    work, rows = gateway.jobs.read_work(answer.json["id"])
    if path == BATCHES:
        lines = gateway.files.path(work.file_id).read_bytes().splitlines()  # type: ignore[union-attr]
        rows = b"[%b]" % b",".join(lines)
    assert json.loads(rows) == [ROW] * 3


@pytest.mark.parametrize("path", [PREDICTIONS, BATCHES])
def test_extra_columns_of_rows_are_refused_on_demand(gateway: Gateway, http: FlaskClient, path: str) -> None:
    answer = http.post(path, json={"inputs": [ROW, ROW | {"cabin": 1}], "extra_columns": "refuse"})

    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json["errors"]] == [
        ("/inputs/1/cabin", "unknown_column")
    ]
    assert gateway.recorded() == []


def test_a_job_without_extra_columns_has_no_note(http: FlaskClient) -> None:
    assert "ignored_columns" not in http.post(PREDICTIONS, json={"inputs": [ROW]}).json


def test_a_note_has_twenty_shortened_names_and_the_number_of_all(http: FlaskClient) -> None:
    row = ROW | dict.fromkeys(NAMES) | {"x" * 5000: 1}

    note = http.post(PREDICTIONS, json={"inputs": [row]}).json["ignored_columns"]
    only_long = http.post(PREDICTIONS, json={"inputs": [ROW | {"x" * 5000: 1}]}).json["ignored_columns"]

    assert note == {"names": NAMES[:20], "count": 31}
    assert only_long == {"names": ["x" * 40 + "..." + "x" * 17], "count": 1}


def test_the_other_columns_are_checked_as_ever(gateway: Gateway, http: FlaskClient) -> None:
    rows = [ROW | {"cabin": 1, "sibsp": 3.0}, ROW | {"cabin": 1, "age": "old"}, {"cabin": 1}]

    answer = http.post(PREDICTIONS, json={"inputs": rows})
    whole = http.post(PREDICTIONS, json={"inputs": rows[:1]})

    assert [each["pointer"] for each in answer.json["errors"]] == [
        "/inputs/1/age",
        *(f"/inputs/2/{name}" for name in ROW),
    ]
    assert json.loads(gateway.jobs.read_work(whole.json["id"])[1]) == [ROW | {"sibsp": 3}]


@pytest.mark.parametrize("inputs", [b'[{"cabin": NaN}]', b'[{"cabin": 1}', b'[{"cabin": "\xff"}]'])
def test_rows_that_are_not_json_are_malformed(http: FlaskClient, inputs: bytes) -> None:
    answer = http.post(PREDICTIONS, data=b'{"inputs": %b}' % inputs, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (400, "malformed")


def test_a_retry_keeps_the_note(gateway: Gateway, http: FlaskClient) -> None:
    job_id = http.post(PREDICTIONS, json={"inputs": [ROW | {"cabin": 1}]}).json["id"]
    http.post(f"/v1/jobs/{job_id}/cancel")

    assert http.post(f"/v1/jobs/{job_id}/retry").json["ignored_columns"] == {"names": ["cabin"], "count": 1}


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("path", [BATCHES, TRAININGS])
def test_extra_columns_of_a_file_are_noted_or_refused(
    gateway: Gateway, http: FlaskClient, path: str, media_type: str
) -> None:
    rows = [ROW | {"deck": "A", "who": 7} | dict.fromkeys(NAMES, 1)]
    file_id = upload(http, table(rows, media_type), media_type)
    body = {"file_id": file_id} | ({"target": "who"} if path == TRAININGS else {"id_column": "who"})

    refused = http.post(path, json=body | {"extra_columns": "refuse"})
    recorded = gateway.recorded()
    ignored = http.post(path, json=body)

    assert (refused.status_code, recorded) == (422, [])
    (finding,) = refused.json["errors"]
    assert (finding["pointer"], finding["code"], finding["columns"]) == ("/file_id", "unknown_column", NAMES[:20])
    assert finding["detail"].endswith("note19 and 10 more, expected only columns that the model has")
    assert (ignored.status_code, ignored.json["ignored_columns"]) == (202, {"names": NAMES[:20], "count": 30})


@pytest.mark.parametrize("path", [BATCHES, TRAININGS])
def test_the_first_lines_of_ndjson_count(http: FlaskClient, path: str) -> None:
    rows = [ROW | {"who": 1}, ROW | {"who": 0, "late": 1}, *[ROW | {"who": 1}] * 98, ROW | {"later": 1}]
    file_id = upload(http, table(rows, "application/x-ndjson"), "application/x-ndjson")
    body = {"file_id": file_id} | ({"target": "who"} if path == TRAININGS else {"id_column": "who"})

    assert http.post(path, json=body).json["ignored_columns"] == {"names": ["late"], "count": 1}


def test_another_choice_is_refused(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW], "extra_columns": "drop"})

    assert answer.status_code == 422
    assert "found 'drop', expected one of ignore, refuse" in answer.json["detail"]
