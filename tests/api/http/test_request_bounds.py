"""No field of a request, and no answer, is without a bound."""

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.http.decoding import MAX_OBJECT_BYTES
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import submitted

TRAININGS, BATCHES = "/v1/models/titanic/trainings", "/v1/models/titanic/batches"
JSON = {"Content-Type": "application/json"}
SUBMITS = {
    "prediction": (PREDICTIONS, {"inputs": [ROW]}, "metadata"),
    "batch": (BATCHES, {"inputs": [ROW]}, "metadata"),
    "training": (TRAININGS, {"file_id": "", "target": "survived"}, "metadata"),
    "parameters": (TRAININGS, {"file_id": "", "target": "survived"}, "params"),
}


def object_of(size: int) -> str:
    """The JSON text of an object, of that many bytes."""
    text = '{"a": "' + "x" * (size - 9) + '"}'
    assert len(text) == size
    return text


def upload(http: FlaskClient) -> str:
    rows = ",".join([*ROW, "survived"]).encode() + b"\n29.5,female,1,false,,1\n"
    file_id: str = http.post("/v1/files", data=rows, headers={"Content-Type": "text/csv"}).json["id"]
    return file_id


@pytest.mark.parametrize(("path", "body", "field"), SUBMITS.values(), ids=SUBMITS)
@pytest.mark.parametrize(
    ("text", "status"),
    [
        (object_of(MAX_OBJECT_BYTES - 1), 202),
        (object_of(MAX_OBJECT_BYTES), 202),
        (object_of(MAX_OBJECT_BYTES + 1), 422),
        ('{"a": [' + "{}," * 30_000 + "{}]}", 422),
        ("[1]", 422),
        ("null", 422),
        ('"text"', 422),
        ('{"a": 1e999}', 422),
    ],
    ids=["below", "at", "above", "many objects", "a list", "null", "a string", "no finite number"],
)
def test_a_free_object_has_at_most_16_kib(
    gateway: Gateway, http: FlaskClient, path: str, body: dict[str, Any], field: str, text: str, status: int
) -> None:
    body = body | ({"file_id": upload(http)} if "file_id" in body else {})
    data = json.dumps(body | {field: "@"}).replace('"@"', text)

    answer = http.post(path, data=data, headers=JSON)

    assert answer.status_code == status, answer.json
    if status == 422:
        assert answer.json["errors"][0]["pointer"].startswith(f"/{field}")
        assert gateway.recorded() == []


def test_the_refusal_of_a_large_object_says_how_large_it_is(http: FlaskClient) -> None:
    data = '{"inputs": [], "metadata": ' + object_of(100_000) + "}"

    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    assert answer.json["detail"] == "/metadata: found 100000 bytes, expected at most 16384"
    assert answer.json["errors"][0]["code"] == "too_long"


def test_a_repeated_object_is_not_decoded_before_its_size_is_known(gateway: Gateway, http: FlaskClient) -> None:
    data = '{"inputs": [' + json.dumps(ROW) + '], "metadata": ' + object_of(150_000) + ', "metadata": {"a": 1}}'

    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    assert (answer.status_code, answer.json["metadata"]) == (202, {"a": 1})


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (TRAININGS, {"file_id": "f", "target": "x" * 1001}, "/target"),
        (TRAININGS, {"file_id": "f", "target": ["a"] * 10_001}, "/target"),
        (TRAININGS, {"file_id": "f", "target": ["x" * 1000] * 132}, "/target"),
        (TRAININGS, {"file_id": "f", "target": ["a", "x" * 1001]}, "/target/1"),
        (BATCHES, {"inputs": [ROW], "id_column": "x" * 1001}, "/id_column"),
    ],
)
def test_the_names_of_columns_in_a_request_are_bounded(
    http: FlaskClient, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = http.post(path, json=body)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert len(answer.data) < 2000


@pytest.mark.parametrize(("length", "status"), [(255, 201), (256, 422)])
def test_the_name_of_a_file_is_bounded(gateway: Gateway, http: FlaskClient, length: int, status: int) -> None:
    name = "x" * (length - 4) + ".csv"
    answers = [
        http.post(f"/v1/files?name={name}", data=b"a\n1\n", headers={"Content-Type": "text/csv"}),
        http.post("/v1/files", data={"file": (io.BytesIO(b"a\n1\n"), name, "text/csv")}),
        http.post(f"/v1/files?name={name}", data={"file": (io.BytesIO(b"a\n1\n"), "a.csv", "text/csv")}),
    ]

    assert [answer.status_code for answer in answers] == [status] * 3
    assert len(gateway.stored_files()) == (3 if status == 201 else 0)


def test_an_echoed_header_is_bounded(http: FlaskClient) -> None:
    assert len(http.get("/livez", headers={"traceparent": "0" * 5000}).headers["traceparent"]) == 200


# Lists


def pages(http: FlaskClient, path: str, limit: int) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while cursor is not None:
        page = http.get(f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json
        found.append(page["data"])
        cursor = page["next_cursor"]
    return found


def test_models_versions_and_histories_have_pages(gateway: Gateway, http: FlaskClient) -> None:
    for name in ("ship", "car", "car", "car"):
        gateway.publish(name)
    for version in (2, 3, 1):
        answer = http.put("/v1/models/car/aliases/champion", json={"version": version}, headers={"If-Match": "*"})
        assert answer.status_code == 200

    models = pages(http, "/v1/models", 2)
    versions = pages(http, "/v1/models/car/versions", 2)
    history = pages(http, "/v1/models/car/history", 3)

    assert [[each["name"] for each in page] for page in models] == [["car", "ship"], ["titanic"]]
    assert [[each["version"] for each in page] for page in versions] == [[3, 2], [1]]
    assert [[each["version"] for each in page] for page in history] == [[1, 2, 3], [1]]


def test_a_page_of_wide_versions_is_bounded_in_bytes(gateway: Gateway, http: FlaskClient) -> None:
    columns = tuple(Column(f"{number}" * 50, ColumnType.NUMBER, True, "float64") for number in range(3000))
    for _ in range(5):
        gateway.publish("wide", signature=Signature(Layout.FRAME, columns, (Method.PREDICT,)))

    first = http.get("/v1/models/wide/versions")

    assert len(first.data) < 3 * 2**20
    assert [each["version"] for page in pages(http, "/v1/models/wide/versions", 200) for each in page] == [
        5,
        4,
        3,
        2,
        1,
    ]


LISTS = [
    "/v1/jobs",
    "/v1/dead-letters",
    "/v1/models",
    "/v1/models/titanic/versions",
    "/v1/models/titanic/history",
    "/v1/queues",
]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("colour=red", "/colour"),
        ("Limit=1", "/Limit"),
        ("limit=1&limit=1", "/limit"),
        ("colour=red&colour=blue", "/colour"),
        ("limit=01", "/limit"),
        ("limit=%D9%A1", "/limit"),
        ("limit=201", "/limit"),
        ("limit=", "/limit"),
    ],
)
def test_every_list_refuses_repeated_unknown_and_odd_parameters_alike(
    http: FlaskClient, path: str, query: str, pointer: str
) -> None:
    answer = http.get(f"{path}?{query}")

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


@pytest.mark.parametrize("path", LISTS)
def test_every_list_answers_without_parameters(http: FlaskClient, path: str) -> None:
    submitted(http)

    assert set(http.get(path).json) >= {"data", "next_cursor"}
