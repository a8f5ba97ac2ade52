"""A repeated request with the same Idempotency-Key returns the same job, whatever has happened to the model since."""

import io
import threading
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import claimed, ended
from tests.api.routes.test_models import SKOPS_LIKE, archive
from tests.api.routes.test_trainings import TRAININGS, upload

KEY = {"Idempotency-Key": "order-17"}
BODY = {"inputs": [ROW]}


def predict(http: FlaskClient, body: Any = BODY, key: str = "order-17", path: str = PREDICTIONS) -> TestResponse:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def push(
    http: FlaskClient,
    model: bytes = SKOPS_LIKE,
    example: bytes = b"age\n1\n",
    metadata: str = '{"description": "a"}',
    name: str = "ship",
) -> TestResponse:
    form = {"model": (io.BytesIO(model), "m.skops"), "example": (io.BytesIO(example), "e.csv", "text/csv")}
    return http.post(f"/v1/models/{name}/versions", data=form | {"metadata": metadata}, headers=KEY)


def is_replay_of(answer: TestResponse, first: TestResponse) -> bool:
    assert (answer.status_code, answer.json["id"], answer.headers["Location"]) == (
        202,
        first.json["id"],
        first.headers["Location"],
    )
    return answer.headers.get("Idempotency-Replayed") == "true"


# Predictions


def test_a_repeated_request_returns_the_same_job_and_says_so(gateway: Gateway, http: FlaskClient) -> None:
    first, second, third = [predict(http) for _ in range(3)]

    assert "Idempotency-Replayed" not in first.headers
    assert is_replay_of(second, first)
    assert is_replay_of(third, first)
    assert gateway.recorded() == [first.json["id"]]


def test_a_repeated_request_without_a_key_creates_another_job(gateway: Gateway, http: FlaskClient) -> None:
    answers = [http.post(PREDICTIONS, json=BODY) for _ in range(2)]

    assert len({answer.json["id"] for answer in answers}) == len(gateway.recorded()) == 2
    assert all("Idempotency-Replayed" not in answer.headers for answer in answers)


def test_another_key_creates_another_job(gateway: Gateway, http: FlaskClient) -> None:
    predict(http)

    assert "Idempotency-Replayed" not in predict(http, key="order-18").headers
    assert len(gateway.recorded()) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PREDICTIONS, {"inputs": [ROW | {"age": 30}]}),
        (PREDICTIONS, {"inputs": [ROW], "metadata": {"run": 7}}),
        ("/v1/models/ship/predictions", BODY),
    ],
    ids=["rows", "metadata", "model"],
)
def test_a_key_reused_for_another_request_is_refused_with_the_id_of_its_job(
    gateway: Gateway, http: FlaskClient, path: str, body: Any
) -> None:
    gateway.publish("ship")
    first = predict(http)

    answer = predict(http, body, path=path)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert first.json["id"] in answer.json["detail"]
    assert gateway.recorded() == [first.json["id"]]


def test_a_replay_returns_the_current_state_of_the_job(gateway: Gateway, http: FlaskClient) -> None:
    first = predict(http)
    claimed(gateway, first.json["id"])

    assert predict(http).json["state"] == "running"


def test_a_replay_that_waits_returns_the_result(gateway: Gateway, http: FlaskClient) -> None:
    ended(gateway, predict(http).json["id"])

    answer = http.post(PREDICTIONS, json=BODY, headers=KEY | {"Prefer": "wait=20"})

    assert (answer.status_code, answer.headers["Idempotency-Replayed"]) == (200, "true")
    assert answer.json["result"] == {"predictions": [0]}


def test_prefer_wait_is_not_part_of_the_fingerprint(http: FlaskClient) -> None:
    first = predict(http)

    answer = http.post(PREDICTIONS, json=BODY, headers=KEY | {"Prefer": "wait=0"})

    assert is_replay_of(answer, first)


def test_a_replay_returns_the_same_job_after_the_champion_has_moved(gateway: Gateway, http: FlaskClient) -> None:
    first = predict(http)
    gateway.publish(sha256="1" * 64)
    http.put("/v1/models/titanic/aliases/champion", json={"version": 2}, headers={"If-Match": "*"})

    again = predict(http)

    assert is_replay_of(again, first)
    assert again.json["model"]["version"] == 1


def test_a_replay_returns_the_same_job_when_its_rows_no_longer_fit(gateway: Gateway, http: FlaskClient) -> None:
    first = predict(http)
    column = Column("height", ColumnType.NUMBER, nullable=False, dtype="float64")
    gateway.publish(signature=Signature(Layout.FRAME, (column,), (Method.TRANSFORM,)))
    http.put("/v1/models/titanic/aliases/champion", json={"version": 2}, headers={"If-Match": "*"})

    assert is_replay_of(predict(http), first)
    assert predict(http, key="order-18").status_code == 422


def test_a_refusal_leaves_the_key_free(gateway: Gateway, http: FlaskClient) -> None:
    refused = predict(http, {"inputs": [ROW | {"age": "old"}]})

    answer = predict(http)

    assert (refused.status_code, answer.status_code) == (422, 202)
    assert "Idempotency-Replayed" not in answer.headers


def test_a_full_lane_leaves_the_key_free_and_does_not_block_replays(gateway: Gateway) -> None:
    http = gateway.limited(max_lane_jobs=1).test_client()
    first = predict(http)
    full = predict(http, key="order-18")
    replayed = predict(http)
    http.post(f"/v1/jobs/{first.json['id']}/cancel")
    later = predict(http, key="order-18")

    assert (full.status_code, full.json["code"]) == (503, "lane_full")
    assert replayed.headers["Idempotency-Replayed"] == "true"
    assert (later.status_code, "Idempotency-Replayed" in later.headers) == (202, False)


def test_a_replay_of_a_deleted_job_is_a_410(http: FlaskClient) -> None:
    job_id = predict(http).json["id"]
    http.post(f"/v1/jobs/{job_id}/cancel")
    http.delete(f"/v1/jobs/{job_id}")

    answer = predict(http)

    assert (answer.status_code, answer.json["code"]) == (410, "job_gone")


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "caf\u00e9", "a\tb", "a\x7fb"], ids=["empty", "long", "latin", "tab", "delete"]
)
def test_an_invalid_key_is_refused(gateway: Gateway, http: FlaskClient, key: str) -> None:
    answer = predict(http, key=key)

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_input")
    assert f"Idempotency-Key has {len(key)} characters, expected 1 to 255" in answer.json["detail"]
    assert gateway.recorded() == []


@pytest.mark.parametrize("key", ["x", "x" * 255, "8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"', "a b"])
def test_every_other_key_is_accepted(http: FlaskClient, key: str) -> None:
    first = predict(http, key=key)

    assert is_replay_of(predict(http, key=key), first)


def at_once(app: Flask, send: Any, times: int = 8) -> list[TestResponse]:
    answers: list[TestResponse] = []
    start = threading.Barrier(times)

    def run() -> None:
        http = app.test_client()
        start.wait()
        answers.append(send(http))

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.parametrize("send", [predict, push], ids=["predictions", "pushes"])
def test_concurrent_equal_requests_create_one_job(gateway: Gateway, send: Any) -> None:
    answers = at_once(gateway.app(), send)

    assert [answer.status_code for answer in answers] == [202] * 8
    assert {answer.json["id"] for answer in answers} == set(gateway.recorded())
    assert len(gateway.recorded()) == 1
    assert sum(answer.headers.get("Idempotency-Replayed") == "true" for answer in answers) == 7


# Trainings


def test_a_repeated_training_request_creates_no_second_training(gateway: Gateway, http: FlaskClient) -> None:
    body = {"file_id": upload(http), "target": "survived"}
    first = http.post(TRAININGS, json=body, headers=KEY)

    again = http.post(TRAININGS, json=body, headers=KEY)
    other = http.post(TRAININGS, json=body | {"promote": "never"}, headers=KEY)
    second = http.post(TRAININGS, json=body)

    assert is_replay_of(again, first)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")
    assert (second.status_code, second.json["code"]) == (409, "conflict")


def test_a_training_is_replayed_after_its_file_was_deleted(http: FlaskClient) -> None:
    body = {"file_id": upload(http), "target": "survived"}
    first = http.post(TRAININGS, json=body, headers=KEY)
    http.delete(f"/v1/files/{body['file_id']}")

    assert is_replay_of(http.post(TRAININGS, json=body, headers=KEY), first)


# Pushes


def test_a_repeated_push_returns_the_same_job_and_leaves_no_files(gateway: Gateway, http: FlaskClient) -> None:
    first = push(http)
    files = gateway.stored_files()

    again = push(http)

    assert is_replay_of(again, first)
    assert gateway.stored_files() == files


@pytest.mark.parametrize(
    "other",
    [
        {"model": archive(schema_json=b'{"protocol": 3}')},
        {"example": b"age\n2\n"},
        {"metadata": '{"description": "b"}'},
        {"name": "boat"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_key_reused_for_another_push_is_refused_and_leaves_no_files(
    gateway: Gateway, http: FlaskClient, other: dict[str, Any]
) -> None:
    push(http)
    files = gateway.stored_files()

    answer = push(http, **other)

    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert gateway.stored_files() == files


def test_the_fingerprint_of_a_push_ignores_the_formatting_of_its_metadata(http: FlaskClient) -> None:
    first = push(http)

    assert is_replay_of(push(http, metadata='{ "description":"a", "target": null}'), first)


def test_a_push_with_an_invalid_key_leaves_no_files(gateway: Gateway, http: FlaskClient) -> None:
    form = {"model": (io.BytesIO(SKOPS_LIKE), "m.skops"), "example": (io.BytesIO(b"age\n1\n"), "e.csv", "text/csv")}

    answer = http.post("/v1/models/ship/versions", data=form, headers={"Idempotency-Key": "x" * 256})

    assert (answer.status_code, gateway.stored_files(), gateway.recorded()) == (422, [], [])
