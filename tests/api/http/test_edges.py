"""Edge cases: names, lengths and depths that are legal and unusual."""

import io
import json
import threading
from bisect import bisect_left as bisect
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from api.http.request_headers import preferred_wait_s
from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, State
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.unreachable import UnreachableDoorbell

JSON = {"Content-Type": "application/json"}


def signature_of(column: Column) -> Signature:
    return Signature(Layout.FRAME, (column,), (Method.PREDICT,))


def number_column(name: str) -> Signature:
    return signature_of(Column(name, ColumnType.NUMBER, nullable=False, dtype="float64"))


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def claimed(gateway: Gateway, http: FlaskClient) -> Job:
    job_id = http.post(PREDICTIONS, json={"inputs": [ROW]}).json["id"]
    running = gateway.jobs.read(job_id).claimed("host:7", gateway.clock())
    gateway.jobs.replace(running)
    return running


# Columns


@pytest.mark.parametrize(
    "name", ['height 6"', "a\\b", "line\nbreak", "a.b", "a/b", "~", "", "ü 😀", "class", "c0", "$"]
)
def test_a_column_may_have_any_name(gateway: Gateway, http: FlaskClient, name: str) -> None:
    gateway.publish("odd", signature=number_column(name))

    fits = http.post("/v1/models/odd/predictions", json={"inputs": [{name: 1}]})
    mismatched = http.post("/v1/models/odd/predictions", json={"inputs": [{name: "x"}]})

    escaped = name.replace("~", "~0").replace("/", "~1")
    assert (fits.status_code, mismatched.status_code) == (202, 422)
    assert [error["pointer"] for error in mismatched.json["errors"]] == [f"/inputs/0/{escaped}"]


@pytest.mark.parametrize("name", ["petal.length", "a/b", "a[0]", "~"])
@pytest.mark.parametrize("text", ["1e999", "9" * 5000])
def test_a_number_out_of_range_has_a_pointer_in_a_column_of_any_name(
    gateway: Gateway, http: FlaskClient, name: str, text: str
) -> None:
    gateway.publish("odd", signature=number_column(name))
    data = json.dumps({"inputs": [{name: "@"}]}).replace('"@"', text)

    answer = http.post("/v1/models/odd/predictions", data=data, headers=JSON)

    escaped = name.replace("~", "~0").replace("/", "~1")
    assert (answer.status_code, [error["pointer"] for error in answer.json["errors"]]) == (
        422,
        [f"/inputs/0/{escaped}"],
    )


@pytest.mark.parametrize("digits", [309, 310, 400, 4299, 4300, 4301, 5000])
@pytest.mark.parametrize("column", ["age", "sibsp"])
def test_an_integer_of_any_length_that_does_not_fit_has_a_pointer(http: FlaskClient, column: str, digits: int) -> None:
    data = json.dumps({"inputs": [ROW | {column: "@"}]}).replace('"@"', "9" * digits)

    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    assert (answer.status_code, [error["pointer"] for error in answer.json["errors"]]) == (422, [f"/inputs/0/{column}"])


def test_a_category_column_without_categories_accepts_only_null(gateway: Gateway, http: FlaskClient) -> None:
    column = Column("deck", ColumnType.STRING, nullable=True, dtype="category", categories=())
    gateway.publish("odd", signature=signature_of(column))

    answers = [
        http.post("/v1/models/odd/predictions", json={"inputs": [{"deck": deck}]}).status_code for deck in (None, "A")
    ]

    assert answers == [202, 422]


@pytest.mark.parametrize(
    ("kind", "categories", "good", "bad"),
    [
        (ColumnType.INTEGER, (1, 2), 1, [3, True, 1.5, "1"]),
        (ColumnType.INTEGER, (1, 2), 1.0, [3.0, 1e300]),
        (ColumnType.INTEGER, (0, 1), 0, [False, 0.5]),
        (ColumnType.BOOLEAN, (False, True), 1, [2, "true"]),
        (ColumnType.BOOLEAN, (True,), True, [False, 0]),
        (ColumnType.STRING, ("1", ""), "", [1, "x", None]),
    ],
)
def test_only_values_of_the_categories_are_accepted(
    gateway: Gateway, http: FlaskClient, kind: ColumnType, categories: tuple[Any, ...], good: Any, bad: list[Any]
) -> None:
    gateway.publish(
        "odd", signature=signature_of(Column("a", kind, nullable=False, dtype="category", categories=categories))
    )

    answers = [
        http.post("/v1/models/odd/predictions", json={"inputs": [{"a": value}]}).status_code for value in (good, *bad)
    ]

    assert answers == [202, *[422] * len(bad)]


@pytest.mark.parametrize(
    "row", [b'{"zz": "fem\xffle"}', b'{"fem\xffle": 1}', b'{"sex": 1, "zz": "\xed\xa0\x80"}', b'["fem\xffle"]']
)
def test_invalid_utf_8_anywhere_in_the_rows_is_a_400_or_422(gateway: Gateway, http: FlaskClient, row: bytes) -> None:
    answer = http.post(PREDICTIONS, data=b'{"inputs": [' + row + b"]}", headers=JSON)

    assert (answer.status_code in (400, 422), answer.mimetype) == (True, "application/problem+json")
    assert gateway.recorded() == []


@pytest.mark.parametrize(("first", "pointers"), [('"x"', ["/inputs/0/age"]), ("1e999", ["/inputs/0/age"])])
def test_the_first_value_of_a_repeated_column_is_refused_with_a_pointer(
    http: FlaskClient, first: str, pointers: list[str]
) -> None:
    data = json.dumps({"inputs": [ROW]}).replace('"age":', f'"age": {first}, "age":')

    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    assert (answer.status_code, [error["pointer"] for error in answer.json["errors"]]) == (422, pointers)


# Paths


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/", "no such path: '/'; /docs lists the paths"),
        ("/v1/modles", "/docs lists the paths"),
        ("/v1/modles/", "/docs lists the paths"),
        ("/v1/models/", "no such path: '/v1/models/'; remove the trailing slash"),
        ("/v1/models/titanic/", "remove the trailing slash"),
        ("/v1/jobs/", "remove the trailing slash"),
        ("/ü" + "x" * 1000, "/docs lists the paths"),
    ],
)
def test_an_unknown_path_gets_a_hint(http: FlaskClient, path: str, hint: str) -> None:
    answer = http.get(path)

    assert (answer.status_code, answer.json["code"]) == (404, "not_found")
    assert answer.json["detail"].endswith(hint)


# Depths and lengths


def test_metadata_of_any_depth_is_accepted_or_refused(gateway: Gateway, http: FlaskClient) -> None:
    """One level above the decoder's limit it could not be encoded, and the answer was a 500."""

    def sent(depth: int) -> TestResponse:
        data = json.dumps({"inputs": [ROW], "metadata": {"a": "@"}}).encode().replace(b'"@"', nested(depth))
        with capture_logs():  # rendering a traceback of a thousand calls takes a minute
            return http.post(PREDICTIONS, data=data, headers=JSON)

    deepest = bisect(range(50_000), True, key=lambda depth: sent(depth).status_code != 202)
    answers = {depth: sent(depth) for depth in range(max(0, deepest - 12), deepest + 12)}

    assert {
        depth: answer.status_code for depth, answer in answers.items() if answer.status_code not in (202, 400)
    } == {}
    accepted = [answer.json["id"] for answer in answers.values() if answer.status_code == 202]
    assert accepted
    assert {http.get(f"/v1/jobs/{job_id}").status_code for job_id in accepted} == {200}


@pytest.mark.parametrize("depth", [10, 100, 500, 900, 940])
def test_accepted_metadata_can_be_read_deep_in_a_call_stack(gateway: Gateway, http: FlaskClient, depth: int) -> None:
    """A task runs deeper in the call stack than a view, and calls and nesting share one limit."""
    data = json.dumps({"inputs": [ROW], "metadata": {"a": "@"}}).encode().replace(b'"@"', nested(depth))
    answer = http.post(PREDICTIONS, data=data, headers=JSON)

    def read_below(calls: int) -> list[Job]:
        return read_below(calls - 1) if calls else [gateway.jobs.read(job_id) for job_id in gateway.recorded()]

    assert len(read_below(100)) == (1 if answer.status_code == 202 else 0)


@pytest.mark.parametrize("depth", [2, 20, 500, 900, 950, 980, 990, 1000, 1010, 20_000])
def test_rows_of_any_depth_are_refused(gateway: Gateway, http: FlaskClient, depth: int) -> None:
    answer = http.post(PREDICTIONS, data=b'{"inputs": ' + nested(depth) + b"}", headers=JSON)

    assert (answer.status_code in (400, 422), gateway.recorded()) == (True, [])


def test_metadata_of_a_push_that_is_nested_too_deeply_is_refused(gateway: Gateway, http: FlaskClient) -> None:
    files = {"model": (io.BytesIO(b"PK"), "m.skops"), "example": (io.BytesIO(b"a\n1\n"), "e.csv")}

    answer = http.post("/v1/models/ship/versions", data=files | {"metadata": nested(5_000).decode()})

    assert answer.status_code in (400, 422)
    assert gateway.stored_files() == []


@pytest.mark.parametrize("tag", ["9" * 5000, '"' + "9" * 5000 + '"', '""', "", '"-1"', '"1.0"', "\u00b2", '"1", "2"'])
def test_an_if_match_that_is_not_an_etag_of_the_gateway_is_refused(http: FlaskClient, tag: str) -> None:
    headers = {"If-Match": tag}

    answer = http.put("/v1/models/titanic/aliases/blue", json={"version": 1}, headers=headers)

    assert answer.status_code in (412, 422)


@pytest.mark.parametrize(
    "version",
    ["0", "00", "01", "%D9%A1", "%EF%BC%91", "+1", "%201", "9" * 30, "9" * 5000, "-1", "1.0", "latest", "%31%00"],
)
def test_an_unknown_version_in_the_path_is_a_404(http: FlaskClient, version: str) -> None:
    answers = [http.get(f"/v1/models/titanic/versions/{version}{rest}").status_code for rest in ("", "/schema")]

    assert answers == [404, 404]


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00%2B23:59",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-31",
        "",
        "%00",
        "9" * 5000,
    ],
)
def test_no_time_in_a_query_causes_a_500(http: FlaskClient, moment: str) -> None:
    assert http.get(f"/v1/jobs?created_after={moment}").status_code in (200, 422)


@pytest.mark.parametrize(
    ("length", "status"), [("-1", {400, 411, 413}), ("many", {400, 411}), ("", {400, 411}), ("1000", {400})]
)
def test_a_wrong_content_length_is_refused(gateway: Gateway, http: FlaskClient, length: str, status: set[int]) -> None:
    data = json.dumps({"inputs": [ROW]}).encode()
    environ = {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(data), "wsgi.input_terminated": True}

    answer = http.post(PREDICTIONS, headers=JSON, environ_overrides=environ)

    assert (answer.status_code in status, answer.mimetype) == (True, "application/problem+json")
    assert (gateway.recorded(), gateway.doorbell.rung) == ([], [])


@pytest.mark.parametrize("given", ["", "x" * 129, "a\tb", "Zo\u00eb"])
def test_a_request_id_that_cannot_be_logged_is_replaced(http: FlaskClient, given: str) -> None:
    answer = http.get("/livez", headers={"X-Request-ID": given})

    assert len(answer.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("given", ["x", "x" * 128, "a b"])
def test_any_other_request_id_is_echoed(http: FlaskClient, given: str) -> None:
    assert http.get("/livez", headers={"X-Request-ID": given}).headers["X-Request-ID"] == given


def test_traceparent_is_echoed_and_head_answers_with_the_length(http: FlaskClient) -> None:
    whole = http.get("/livez", headers={"traceparent": "00-a-b-01"})
    head = http.head("/livez")

    assert whole.headers["traceparent"] == "00-a-b-01"
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(whole.data)))


def test_a_redirect_leads_to_the_host_of_the_request(gateway: Gateway) -> None:
    http = gateway.app(hosts=frozenset({"gateway.example"})).test_client()

    answer = http.get("/v1//jobs?limit=1", headers={"Host": "gateway.example:99"})

    assert answer.headers["Location"] == "http://gateway.example:99/v1/jobs?limit=1"


def test_a_value_out_of_range_in_the_metadata_gets_a_pointer_that_exists(http: FlaskClient) -> None:
    data = b'{"inputs": [{}], "metadata": {"a": 1e999}}'

    (error,) = http.post(PREDICTIONS, data=data, headers=JSON).json["errors"]

    assert error["pointer"] in ("/metadata", "/metadata/a")


def test_a_compressed_upload_is_refused_like_every_other_body(gateway: Gateway, http: FlaskClient) -> None:
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}

    answer = http.post("/v1/files", data=b"\x1f\x8b", headers=headers)

    assert (answer.status_code, gateway.stored_files()) == (415, [])


# Waiting


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5),
        ("wait=0", 0),
        ("WAIT = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=10", 10),
        ("wait=10; foo=bar", 10),
        ("wait=30", 30),
        ("wait=31", 30),
        ("wait=" + "9" * 400, 30),
        ("wait=" + "9" * 5000, 30),
        ("", None),
        ("wait", 30),
        ("wait=", 30),
        ('wait=""', 30),
        ("respond-async, Wait", 30),
        ("wait=1.5", 1.5),
        ("wait=.5", 0.5),
        ("wait=0.25; foo=bar", 0.25),
        ("wait=1e1", None),
        ("wait=inf", None),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait=\u00b2", None),
        ("respond-async", None),
        ("waiting=5", None),
    ],
)
def test_a_valid_preference_is_applied_and_an_invalid_one_ignored(prefer: str, seconds: float | None) -> None:
    assert preferred_wait_s(prefer) == seconds


@pytest.mark.parametrize("state", [State.CANCELED, State.FAILED, State.SUCCEEDED])
def test_the_end_of_a_job_wakes_every_waiter(gateway: Gateway, http: FlaskClient, state: State) -> None:
    running, app = claimed(gateway, http), gateway.app()
    answers: list[TestResponse] = []
    threads = [threading.Thread(target=lambda: answers.append(waited(app, running.id))) for _ in range(2)]
    for thread in threads:
        thread.start()

    if state is State.SUCCEEDED:
        gateway.jobs.replace(running.succeeded(gateway.clock(), 60), b"{}")
    elif state is State.FAILED:
        gateway.jobs.replace(running.failed(Failure("run_failed", "no"), gateway.clock(), 60))
    else:
        canceling = running.cancel_requested(gateway.clock(), 60)
        gateway.jobs.replace(canceling)
        gateway.jobs.replace(canceling.stopped(gateway.clock(), 60))

    for thread in threads:
        thread.join(10)
    assert [answer.json["state"] for answer in answers] == [state.value] * 2


def waited(app: Flask, job_id: str) -> TestResponse:
    return app.test_client().get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"})


def test_a_wait_for_an_unknown_job_ends_at_once_and_takes_no_slot(http: FlaskClient) -> None:
    answers = [http.get("/v1/jobs/job_x", headers={"Prefer": "wait=20"}).status_code for _ in range(5)]

    assert answers == [404] * 5


# Partly done


def test_a_training_is_accepted_and_excludes_a_second_one_while_the_doorbell_is_unreachable(gateway: Gateway) -> None:
    rows = ",".join([*ROW, "survived"]).encode() + b"\n29.5,female,1,false,,1\n"
    unreachable, reachable = gateway.app(doorbell=UnreachableDoorbell()).test_client(), gateway.app().test_client()
    file_id = reachable.post("/v1/files", data=rows, headers={"Content-Type": "text/csv"}).json["id"]
    request = {"file_id": file_id, "target": "survived"}

    answers = [http.post("/v1/models/titanic/trainings", json=request).status_code for http in (unreachable, reachable)]

    assert answers == [202, 409]


def test_a_push_is_accepted_with_its_files_while_the_doorbell_is_unreachable(gateway: Gateway) -> None:
    from tests.api.routes.test_models import push  # noqa: PLC0415 - the form of a push is written down there

    answer = push(gateway.app(doorbell=UnreachableDoorbell()).test_client())

    assert (answer.status_code, gateway.recorded()) == (202, [answer.json["id"]])
    assert len(gateway.stored_files()) == 2


# The document


def test_the_openapi_document_is_valid_openapi(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.publish()

    schemathesis.openapi.from_wsgi("/openapi.json", gateway.app()).validate()
