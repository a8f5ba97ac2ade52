"""Predictions and batches of a model whose rows are texts."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import Gateway

PREDICTIONS = "/v1/models/reviews/predictions"
BATCHES = "/v1/models/reviews/batches"
TEXTS = Column("review", ColumnType.STRING, nullable=False, dtype="list", words=("NA",))


@pytest.fixture
def reviews(gateway: Gateway) -> Gateway:
    gateway.publish("reviews", signature=Signature(Layout.TEXT, (TEXTS,), (Method.PREDICT,), ("a text",)))
    return gateway


def test_texts_are_stored_as_they_were_sent(reviews: Gateway, http: FlaskClient) -> None:
    text = b'{"inputs": ["a \\"text\\"", "", "NA", "\\u00e9"]}'

    answer = http.post(PREDICTIONS, data=text, headers={"Content-Type": "application/json"})

    assert answer.status_code == 202
    assert reviews.jobs.read_work(answer.json["id"])[1] in text


@pytest.mark.parametrize(
    ("row", "code", "detail"),
    [
        (None, "null", "found null, expected a string"),
        (True, "wrong_type", "found true, expected a string"),
        ({"review": "a"}, "wrong_type", "found an object, expected a string"),
    ],
)
def test_another_row_is_refused(reviews: Gateway, http: FlaskClient, row: Any, code: str, detail: str) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": ["a", row]})

    assert answer.status_code == 422
    (finding,) = answer.json["errors"]
    assert (finding["pointer"], finding["code"], finding["detail"]) == ("/inputs/1", code, detail)


def test_a_batch_of_texts_is_a_file_with_one_per_line(reviews: Gateway, http: FlaskClient) -> None:
    answer = http.post(BATCHES, json={"inputs": ["two\nlines", "x"], "output_format": "json"})

    work, _ = reviews.jobs.read_work(answer.json["id"])
    assert reviews.files.path(work.file_id).read_bytes() == b'"two\\nlines"\n"x"\n'


def test_texts_in_a_request_have_no_id_column(reviews: Gateway, http: FlaskClient) -> None:
    answer = http.post(BATCHES, json={"inputs": ["a"], "id_column": "review"})

    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/id_column"


@pytest.mark.parametrize(("content", "status"), [(b"q\na\n", 202), (b"id,review\n1,a\n", 202), (b"id,q\n1,a\n", 422)])
def test_the_gateway_looks_for_the_column_of_the_texts(
    reviews: Gateway, http: FlaskClient, content: bytes, status: int
) -> None:
    stored = http.post("/v1/files", data=content, headers={"Content-Type": "text/csv"})

    answer = http.post(BATCHES, json={"file_id": stored.json["id"], "output_format": "csv"})

    assert answer.status_code == status
    if status == 422:
        assert answer.json["errors"][0]["code"] == "missing_column"
        assert "the texts are expected in it, or in the only column" in answer.json["detail"]


def test_a_training_finds_the_texts_beside_the_target(reviews: Gateway, http: FlaskClient) -> None:
    stored = http.post("/v1/files", data=b"q,liked\na,1\n", headers={"Content-Type": "text/csv"})

    answer = http.post("/v1/models/reviews/trainings", json={"file_id": stored.json["id"], "target": "liked"})

    assert answer.status_code == 202


def test_the_schema_of_a_row_is_a_string(reviews: Gateway, http: FlaskClient) -> None:
    assert json.loads(http.get("/v1/models/reviews/schema").data) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "string",
        "x-words": ["NA"],
        "x-column": "review",
        "examples": ["a text"],
    }
