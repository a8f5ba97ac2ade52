"""Predictions, batches and trainings of a model whose rows are dicts."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.columns.object_rows import KnownKey, ObjectRows, ValueKind
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import Gateway

PREDICTIONS = "/v1/models/shops/predictions"
STRING, NUMBER, NULL = ValueKind.STRING, ValueKind.NUMBER, ValueKind.NULL
KEYS = (KnownKey("city", (STRING,)), KnownKey("age", (NUMBER, NULL), is_always=True), KnownKey("a/b", (NUMBER,)))


def signature(keys: tuple[KnownKey, ...] = KEYS) -> Signature:
    objects = ObjectRows((STRING, NUMBER), keys)
    row = Column("row", ColumnType.OBJECT, nullable=False, dtype="dict", objects=objects)
    return Signature(Layout.OBJECT, (row,), (Method.PREDICT,), ({"city": "Ulm"},))


@pytest.fixture(params=[KEYS, KEYS[:1]], ids=["with a null at one key", "without null"])
def shops(gateway: Gateway, request: pytest.FixtureRequest) -> Gateway:
    gateway.publish("shops", signature=signature(request.param))
    return gateway


def test_any_keys_are_stored_as_they_were_sent(shops: Gateway, http: FlaskClient) -> None:
    text = b'{"inputs": [{"city": "Ulm", "new": 3.0, "a/b": 1e5}, {}]}'

    answer = http.post(PREDICTIONS, data=text, headers={"Content-Type": "application/json"})

    assert answer.status_code == 202
    assert shops.jobs.read_work(answer.json["id"])[1] in text


@pytest.mark.parametrize(
    ("row", "pointer", "code", "detail"),
    [
        ({"city": None}, "/inputs/1/city", "null", "found null, expected a string or a finite number"),
        ({"a/b": True}, "/inputs/1/a~1b", "wrong_type", "found true, expected a string or a finite number"),
        ({"x": {}}, "/inputs/1/x", "wrong_type", "found an object, expected a string or a finite number"),
        ({"x": ["a"]}, "/inputs/1/x", "wrong_type", "found a list, expected a string or a finite number"),
        ("a", "/inputs/1", "wrong_type", 'found string "a", expected an object'),
    ],
)
def test_another_value_is_refused_with_its_key(
    shops: Gateway, http: FlaskClient, row: Any, pointer: str, code: str, detail: str
) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [{"city": "a"}, row]})

    assert answer.status_code == 422
    (finding,) = answer.json["errors"]
    assert (finding["pointer"], finding["code"], finding["detail"]) == (pointer, code, detail)


def test_null_is_taken_at_a_key_that_had_it(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("shops", signature=signature())

    assert http.post(PREDICTIONS, json={"inputs": [{"age": None}]}).status_code == 202


@pytest.mark.parametrize(("content", "status"), [(b"city,age\nUlm,3\n", 202), (b"city,size\nUlm,3\n", 422)])
def test_a_csv_file_with_a_column_that_is_no_key_is_refused(
    gateway: Gateway, http: FlaskClient, content: bytes, status: int
) -> None:
    gateway.publish("shops", signature=signature())
    stored = http.post("/v1/files", data=content, headers={"Content-Type": "text/csv"})

    answer = http.post("/v1/models/shops/batches", json={"file_id": stored.json["id"], "output_format": "csv"})

    assert answer.status_code == status
    if status == 422:
        (finding,) = answer.json["errors"]
        assert (finding["pointer"], finding["code"], finding["column"]) == ("/file_id", "unknown_column", "size")


@pytest.mark.parametrize(("target", "status"), [("open", 202), ("city", 422)])
def test_the_target_of_a_training_is_no_key(gateway: Gateway, http: FlaskClient, target: str, status: int) -> None:
    gateway.publish("shops", signature=signature())
    stored = http.post("/v1/files", data=b"city,age,open\nUlm,3,1\n", headers={"Content-Type": "text/csv"})

    answer = http.post("/v1/models/shops/trainings", json={"file_id": stored.json["id"], "target": target})

    assert answer.status_code == status


@pytest.mark.parametrize("name", ["key", "city"])
def test_an_id_of_rows_in_a_request_is_no_key_of_the_rows(shops: Gateway, http: FlaskClient, name: str) -> None:
    rows = [{name: [1, {"a": 2}], "a/b": 1}, {name: "x"}, {}]

    answer = http.post("/v1/models/shops/batches", json={"inputs": rows, "id_column": name})

    assert answer.status_code == 202
    work, _ = shops.jobs.read_work(answer.json["id"])
    lines = shops.files.path(work.file_id).read_bytes().splitlines()  # type: ignore[union-attr]
    assert list(map(json.loads, lines)) == rows


def test_the_schema_of_a_row_has_the_kinds_of_each_key(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("shops", signature=signature())

    schema = json.loads(http.get("/v1/models/shops/schema").data)

    assert schema["properties"] == {
        "city": {"type": ["string", "number"], "x-kinds": ["string"]},
        "age": {"type": ["string", "number", "null"], "x-kinds": ["number", "null"]},
        "a/b": {"type": ["string", "number"], "x-kinds": ["number"]},
    }
    assert (schema["additionalProperties"], schema["maxProperties"]) == ({"type": ["string", "number"]}, 10_000)
    assert (schema["x-always"], schema["examples"]) == (["age"], [{"city": "Ulm"}])


def test_the_manifest_has_the_keys(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("shops", signature=signature())

    (column,) = http.get("/v1/models/shops/versions/1").json["signature"]["columns"]

    assert (column["type"], column["objects"]["kinds"]) == ("object", ["string", "number"])
    assert column["objects"]["keys"][1] == {"name": "age", "kinds": ["number", "null"], "is_always": True}
