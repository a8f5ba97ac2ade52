"""Every kind of bad input gets its problem document, and nothing is recorded, rung or stored."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.row_decoding import require_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import COLUMNS, PREDICTIONS, ROW, Gateway

JSON = {"Content-Type": "application/json"}


def body(**changes: Any) -> bytes:
    return json.dumps({"inputs": [ROW | changes]}).encode()


def with_value(column: str, text: str) -> bytes:
    """A body with a value that `json.dumps` would not write."""
    return body(**{column: "@"}).replace(b'"@"', text.encode())


UNREADABLE = {
    "empty body": b"",
    "cut short": b'{"inputs": [{"age": 1',
    "trailing text": body() + b" x",
    "NaN": with_value("age", "NaN"),
    "Infinity": with_value("age", "-Infinity"),
    "UTF-16": body().decode().encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf" + body(),
    "not UTF-8": body().replace(b"female", b"fem\xffle"),
    "lone surrogate": with_value("sex", r'"\ud800"'),
    "single quotes": b"{'inputs': []}",
    "deep nesting": b'{"inputs": [{}], "metadata": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    "deep rows": b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
}
MISMATCHES = {
    "top-level list": (b"[]", ""),
    "top-level number": (b"3", ""),
    "inputs missing": (b"{}", "/inputs"),
    "inputs an object": (b'{"inputs": {}}', "/inputs"),
    "inputs empty": (b'{"inputs": []}', "/inputs"),
    "row a number": (b'{"inputs": [3]}', "/inputs/0"),
    "row a list": (b'{"inputs": [[1, 2]]}', "/inputs/0"),
    "unknown field": (b'{"inputs": [{}], "model": "x"}', "/model"),
    "bad method": (b'{"inputs": [{}], "method": "fit"}', "/method"),
    "method not there": (json.dumps({"inputs": [ROW], "method": "transform"}).encode(), "/method"),
    "metadata a list": (b'{"inputs": [{}], "metadata": []}', "/metadata"),
    "deadline not positive": (b'{"inputs": [{}], "expires_in_s": 0}', "/expires_in_s"),
    "unknown column": (body(cabin="C22"), "/inputs/0/cabin"),
    "escaped column": (body(**{"a/b~": 1}), "/inputs/0/a~1b~0"),
    "missing column": (json.dumps({"inputs": [{"age": 1}]}).encode(), "/inputs/0/sex"),
    "string for a number": (body(age="29"), "/inputs/0/age"),
    "boolean for a number": (body(age=True), "/inputs/0/age"),
    "number too large": (with_value("age", "1e999"), "/inputs/0/age"),
    "number of 5000 digits": (with_value("age", "9" * 5000), "/inputs/0/age"),
    "fraction for an integer": (body(sibsp=1.5), "/inputs/0/sibsp"),
    "integer beyond 64 bits": (body(sibsp=2**63), "/inputs/0/sibsp"),
    "number for a boolean": (body(alone=2), "/inputs/0/alone"),
    "string for a boolean": (body(alone="true"), "/inputs/0/alone"),
    "boolean for an integer": (body(sibsp=True), "/inputs/0/sibsp"),
    "number for a string": (body(sex=1), "/inputs/0/sex"),
    "null that may not be": (body(sex=None), "/inputs/0/sex"),
    "unknown category": (body(deck="Z"), "/inputs/0/deck"),
    "list for a string": (body(sex=["female"]), "/inputs/0/sex"),
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_is_not_json_in_utf_8_is_a_400_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, data: bytes
) -> None:
    answer = http.post(PREDICTIONS, data=data, headers=JSON, environ_overrides={"CONTENT_LENGTH": str(len(data))})

    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json["code"] == "malformed"
    assert (gateway.recorded(), gateway.doorbell.rung) == ([], [])


def test_deeply_nested_metadata_next_to_another_error_is_no_500(http: FlaskClient) -> None:
    depths = range(400, 1000, 11)
    numbers = (b"1", b"1e999")
    bodies = [
        b'{"inputs": [{}], "metadata": {"a": ' + b"[" * depth + number + b"]" * depth + b'}, "model": 1}'
        for depth in depths
        for number in numbers
    ]

    statuses = {http.post(PREDICTIONS, data=data, headers=JSON).status_code for data in bodies}

    assert 422 in statuses
    assert statuses <= {400, 422}


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (data[:-1] + b', "extra_columns": "refuse"}' if name in ("unknown column", "escaped column") else data, pointer)
        for name, (data, pointer) in MISMATCHES.items()
    ],
    ids=MISMATCHES,
)
def test_a_body_that_does_not_fit_is_a_422_with_a_pointer_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, data: bytes, pointer: str
) -> None:
    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.json["errors"][0]["pointer"] == pointer
    assert answer.json["detail"]
    assert (gateway.recorded(), gateway.doorbell.rung) == ([], [])


REFUSALS = {
    "enum": (body()[:-1] + b', "method": "predictt"}', "found 'predictt', expected one of predict, predict_proba, dec"),
    "unknown field": (
        body()[:-1] + b', "methd": "predict"}',
        "found an unknown field 'methd', expected only inputs, method, version",
    ),
    "one row for a list": (b'{"inputs": {"age": 1}}', 'expected a list of rows; rows belong in a list: {"inputs": ['),
    "a row by itself": (b'{"age": 1, "sex": "male"}', 'rows belong in a list: {"inputs": [{...}]}'),
    "a list by itself": (b'[{"age": 1}]', 'rows belong in a list: {"inputs": [{...}]}'),
    "nothing in it": (b"{}", 'rows belong in a list: {"inputs": [{...}]}'),
    "a quoted version": (body()[:-1] + b', "version": "1"}', "send version 1 as a number, without quotes"),
    "no version": (body()[:-1] + b', "version": "7"}', "no alias '7'; it has champion"),
    "NaN": (
        with_value("age", "NaN"),
        "has NaN near byte 20; JSON has no such number, so send null for a missing value",
    ),
    "nan": (with_value("age", "nan"), "has nan near byte"),
    "Infinity": (with_value("age", "-Infinity"), "has -Infinity near byte"),
    "empty": (b"", "the body is empty, expected JSON"),
    "blank": (b" \n", "the body is empty, expected JSON"),
    "a row that is no JSON further on": (b'{"age": 1, "sex": nan', "the field 'age' is unknown"),
    "a row that is no text further on": (b'{"age": 1, "sex\xff": 1}', "the field 'age' is unknown"),
    "a word in quotes": (b'{"inputs": ["nan" x', "is not JSON in UTF-8"),
    "a word in quotes right before": (b'{"inputs": ["nan"x', "is not JSON in UTF-8"),
    "a word in a string that is cut off": (b'{"method": "\\\\ \\" nan', "is not JSON in UTF-8"),
    "a word after a quote in a string": (b'{"version": "a\\"b", "timeout_s": nan}', "has nan near byte 33"),
    "a word that is only a part": (b'{"timeout_s": Ynan}', "is not JSON in UTF-8"),
    "a word that is cut off": (b'{"timeout_s": nan', "has nan near byte 14"),
}


@pytest.mark.parametrize(("data", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_names_the_fix(http: FlaskClient, data: bytes, words: str) -> None:
    answer = http.post(PREDICTIONS, data=data, headers=JSON, environ_overrides={"CONTENT_LENGTH": str(len(data))})

    assert words in answer.json["detail"]


def test_every_other_request_is_refused_in_the_same_words(http: FlaskClient) -> None:
    batch, training, listing = (
        http.post("/v1/models/titanic/batches", json={"age": 1}).json["detail"],
        http.post("/v1/models/titanic/trainings", json={"fil_id": "x"}).json["detail"],
        http.get("/v1/jobs?state=done").json["detail"],
    )

    assert batch.startswith("found an unknown field 'age'")
    assert batch.endswith('rows belong in a list: {"inputs": [{...}]}')
    assert training.startswith("found an unknown field 'fil_id', expected only target, file_id, file_ids")
    assert listing == "found 'done', expected one of queued, running, canceling, canceled, expired, succeeded, failed"


def test_one_row_more_than_the_limit_points_to_batches(gateway: Gateway, http: FlaskClient) -> None:
    allowed = http.post(PREDICTIONS, json={"inputs": [ROW] * 50})
    refused = http.post(PREDICTIONS, json={"inputs": [ROW] * 51})

    assert allowed.status_code == 202
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (422, "too_many_rows")
    assert "found 51 rows, expected at most 50" in refused.json["detail"]
    assert "batch" in refused.json["detail"]
    assert len(gateway.recorded()) == 1


def test_a_refusal_lists_the_first_twenty_mismatches(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW | {"age": "x"}] * 30})

    assert [error["pointer"] for error in answer.json["errors"]] == [f"/inputs/{index}/age" for index in range(20)]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (JSON | {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    ],
)
def test_a_body_of_another_media_type_is_refused(
    gateway: Gateway, http: FlaskClient, headers: dict[str, str], status: int, code: str
) -> None:
    answer = http.post(PREDICTIONS, data=body(), headers=headers)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert gateway.recorded() == []


def test_a_body_over_the_limit_is_refused_unread(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, data=b"[" * 200_001, headers=JSON)

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert "200001 bytes, expected at most 200000" in answer.json["detail"]


def test_a_body_without_a_length_is_refused(http: FlaskClient) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    answer = http.post(PREDICTIONS, data=body(), headers=JSON, environ_overrides=chunked)

    assert (answer.status_code, answer.json["code"]) == (411, "length_required")


def test_every_value_of_a_repeated_column_must_fit_and_the_last_one_is_used(
    gateway: Gateway, http: FlaskClient
) -> None:
    twice = body(age=1).replace(b'"age": 1', b'"age": 5, "age": 1')
    mismatch_first = body(age=1).replace(b'"age": 1', b'"age": "x", "age": 1')

    accepted = http.post(PREDICTIONS, data=twice, headers=JSON)
    refused = http.post(PREDICTIONS, data=mismatch_first, headers=JSON)

    assert json.loads(gateway.jobs.read_work(accepted.json["id"])[1])[0]["age"] == 1
    assert refused.status_code == 422


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/models/nope/predictions", "unknown_model"),
        ("/v1/models/..%2f..%2fetc/predictions", "not_found"),
        ("/v1/models/.hidden/predictions", "unknown_model"),
    ],
)
def test_an_unknown_model_is_a_404(http: FlaskClient, path: str, code: str) -> None:
    answer = http.post(path, json={"inputs": [ROW]})

    assert (answer.status_code, answer.json["code"]) == (404, code)


@pytest.mark.parametrize(
    ("version", "code"),
    [(7, "unknown_version"), (0, "unknown_version"), (-1, "unknown_version"), ("blue", "unknown_alias")],
)
def test_an_unknown_version_or_alias_is_a_404(http: FlaskClient, version: int | str, code: str) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW], "version": version})

    assert (answer.status_code, answer.json["code"]) == (404, code)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("3.0", 3), ("-0.0", 0), ("3e0", 3), ("9007199254740992.0", 2**53), ("9223372036854775807", 2**63 - 1)],
)
def test_a_whole_number_written_with_a_point_reaches_the_worker_as_an_integer(
    gateway: Gateway, http: FlaskClient, text: str, whole: int
) -> None:
    answer = http.post(PREDICTIONS, data=with_value("sibsp", text), headers=JSON)

    (row,) = json.loads(gateway.jobs.read_work(answer.json["id"])[1])
    assert (row, type(row["sibsp"]), type(row["age"])) == (ROW | {"sibsp": whole}, int, float)


@pytest.mark.parametrize("text", ["3.5", "9007199254740994.0", "1e300", "1e999"])
def test_a_number_that_is_not_whole_or_not_exact_is_refused_with_a_pointer(http: FlaskClient, text: str) -> None:
    answer = http.post(PREDICTIONS, data=with_value("sibsp", text), headers=JSON)

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/inputs/0/sibsp")


def test_every_value_of_a_repeated_column_must_fit_next_to_a_whole_number_with_a_point(http: FlaskClient) -> None:
    rows = json.dumps({"inputs": [ROW | {"sibsp": 1.0}, ROW]}).replace('"age"', '"age": "x", "age"')

    assert http.post(PREDICTIONS, data=rows, headers=JSON).status_code == 422


def test_the_rows_of_a_batch_are_stored_with_integers(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.post("/v1/models/titanic/batches", json={"inputs": [ROW | {"sibsp": 1.0}, ROW | {"age": 1.0}]})

    stored = gateway.files.path(gateway.jobs.read_work(answer.json["id"])[0].file_id)  # type: ignore[union-attr]
    rows = [json.loads(line) for line in stored.read_bytes().splitlines()]
    assert [(type(row["sibsp"]), type(row["age"])) for row in rows] == [(int, float), (int, float)]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["A", "B", "", "female"]),
    st.lists(st.none(), max_size=1),
)
ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries({column.name: VALUES for column in COLUMNS}, optional={"more": VALUES}),
        st.fixed_dictionaries(
            {
                "age": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "sex": st.text(),
                "sibsp": st.integers(-(2**63), 2**63 - 1),
                "alone": st.booleans(),
                "deck": st.sampled_from([None, "A", "B"]),
            }
        ),
        VALUES,
    ),
    min_size=1,
    max_size=4,
)


@given(rows=ROWS)
@settings(max_examples=400, deadline=None)
def test_the_compiled_check_and_the_signature_accept_the_same_rows(rows: list[Any]) -> None:
    signature = Signature(Layout.FRAME, COLUMNS, (Method.PREDICT,))

    try:
        require_rows(signature, json.dumps(rows).encode("utf-8", "surrogatepass"), 10)
        accepted = True
    except InvalidInputError:
        accepted = False

    assert accepted == (signature.findings(rows) == ())


@given(rows=st.lists(st.lists(VALUES, max_size=3) | VALUES, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_the_compiled_check_and_the_signature_accept_the_same_rows_that_are_lists(rows: list[Any]) -> None:
    columns = (Column("x0", ColumnType.NUMBER, True, "float64"), Column("x1", ColumnType.NUMBER, True, "float64"))
    signature = Signature(Layout.ARRAY, columns, (Method.PREDICT,))

    try:
        require_rows(signature, json.dumps(rows).encode(), 10)
        accepted = True
    except InvalidInputError:
        accepted = False

    assert accepted == (signature.findings(rows) == ())
