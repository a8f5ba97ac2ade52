"""Charsets, and ranges that are none."""

import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.work import Method
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.routes.test_batches import RESULT, batch, succeeded
from tests.api.routes.test_models import SKOPS_LIKE

CHARSETS = [("utf-8", True), ("UTF-8", True), ('"utf-8"', True), ("utf8", True), ("latin-1", False), ("utf-16", False)]
FILE_PATH = "/v1/files?name=rows.csv"


def accepted(status: int) -> bool:
    assert status in (201, 202, 415)
    return status != 415


@pytest.mark.parametrize(("charset", "is_accepted"), CHARSETS)
def test_a_body_in_another_charset_than_utf_8_is_a_415(http: FlaskClient, charset: str, is_accepted: bool) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}

    answer = http.post(PREDICTIONS, json={"inputs": [ROW], "method": Method.PREDICT}, headers=headers)

    assert accepted(answer.status_code) is is_accepted


@pytest.mark.parametrize(("charset", "is_accepted"), CHARSETS)
def test_an_upload_in_another_charset_than_utf_8_is_a_415_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, charset: str, is_accepted: bool
) -> None:
    media_type = f"text/csv; charset={charset}"
    part = (io.BytesIO(b"a\n1\n"), "rows.csv", media_type)

    answers = [
        http.post(FILE_PATH, data=b"a\n1\n", headers={"Content-Type": media_type}),
        http.post("/v1/files", data={"file": part}),
    ]

    assert [accepted(answer.status_code) for answer in answers] == [is_accepted] * 2
    assert len(gateway.stored_files()) == (2 if is_accepted else 0)


def test_example_rows_of_a_push_in_another_charset_are_a_415(gateway: Gateway, http: FlaskClient) -> None:
    form: dict[str, Any] = {
        "model": (io.BytesIO(SKOPS_LIKE), "m.skops"),
        "example": (io.BytesIO(b"age\n1\n"), "e.csv", "text/csv; charset=latin-1"),
    }

    assert http.post("/v1/models/ship/versions", data=form).status_code == 415
    assert gateway.stored_files() == []


@pytest.mark.parametrize(
    "wanted",
    [
        *("bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=2-1", "bytes=1-2x", "bytes= 1 - x", "bytes=-x", "bytes"),
        *("bytes=\u0661-", "bytes=1--2", "bytes=+1-2", "bytes=0-0,3-4", "rows=1-2", "bytes=" + "9" * 5000 + "-"),
    ],
)
def test_a_bad_range_is_passed_over(gateway: Gateway, http: FlaskClient, wanted: str) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", environ_overrides={"HTTP_RANGE": wanted.encode().decode("latin-1")})

    assert (answer.status_code, answer.data) == (200, RESULT)


@pytest.mark.parametrize(
    ("wanted", "status", "data"),
    [
        ("bytes=0-3", 206, RESULT[:4]),
        ("Bytes = 4-", 206, RESULT[4:]),
        ("bytes=-2", 206, RESULT[-2:]),
        ("bytes=1000-", 416, None),
    ],
)
def test_a_good_range_is_answered(
    gateway: Gateway, http: FlaskClient, wanted: str, status: int, data: bytes | None
) -> None:
    job_id = batch(http)
    succeeded(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}/result", headers={"Range": wanted})

    assert answer.status_code == status
    assert data is None or answer.data == data
