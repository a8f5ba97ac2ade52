"""Uploads: streamed to the store, hashed, and deleted completely if anything is wrong."""

import base64
import hashlib
import io

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import Gateway

CSV = b"age,survived\n1,0\n2,1\n"
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(CSV).digest()).decode()}:"


def test_a_form_and_a_raw_body_store_the_same_bytes(gateway: Gateway, http: FlaskClient) -> None:
    form = http.post("/v1/files", data={"file": (io.BytesIO(CSV), "train.csv", "text/csv")})
    raw = http.post("/v1/files?name=train.csv", data=CSV, headers={"Content-Type": "text/csv"})

    assert (form.status_code, raw.status_code) == (201, 201)
    assert form.headers["Location"] == f"/v1/files/{form.json['id']}"
    for answer in (form, raw):
        about = {key: answer.json[key] for key in ("name", "media_type", "size_bytes", "sha256")}
        assert about == {
            "name": "train.csv",
            "media_type": "text/csv",
            "size_bytes": len(CSV),
            "sha256": hashlib.sha256(CSV).hexdigest(),
        }
        assert gateway.files.path(answer.json["id"]).read_bytes() == CSV


def test_a_file_is_read_and_deleted_by_its_id(gateway: Gateway, http: FlaskClient) -> None:
    stored = http.post("/v1/files", data=CSV, headers={"Content-Type": "text/csv"}).json

    read = http.get(f"/v1/files/{stored['id']}")
    deleted = http.delete(f"/v1/files/{stored['id']}")
    again = http.delete(f"/v1/files/{stored['id']}")

    assert (read.status_code, read.json) == (200, stored)
    assert (deleted.status_code, again.status_code, again.json["code"]) == (204, 404, "unknown_file")
    assert "Content-Type" not in deleted.headers
    assert gateway.stored_files() == []


def test_a_correct_digest_is_accepted_and_a_wrong_one_leaves_nothing(gateway: Gateway, http: FlaskClient) -> None:
    right = http.post("/v1/files", data=CSV, headers={"Content-Type": "text/csv", "Content-Digest": DIGEST})
    http.delete(f"/v1/files/{right.json['id']}")
    wrong = http.post("/v1/files", data=CSV + b"3,1\n", headers={"Content-Type": "text/csv", "Content-Digest": DIGEST})

    assert right.status_code == 201
    assert (wrong.status_code, wrong.json["code"]) == (422, "digest_mismatch")
    assert gateway.stored_files() == []


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_a_truncated_upload_is_a_400_and_leaves_nothing(gateway: Gateway, http: FlaskClient, kind: str) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\nContent-Type: text/csv\r\n\r\n'
    content_type = "text/csv" if kind == "raw" else "multipart/form-data; boundary=b"
    data = CSV if kind == "raw" else head + CSV
    # How a client that disconnected looks behind a server that ends the stream itself.
    environ = {"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": "100000", "wsgi.input_terminated": True}

    answer = http.post("/v1/files", headers={"Content-Type": content_type}, environ_overrides=environ)

    assert (answer.status_code, answer.json["code"]) == (400, "malformed")
    assert "cut short" in answer.json["detail"]
    assert gateway.stored_files() == []


@pytest.mark.parametrize(
    ("content_type", "data", "status", "code"),
    [
        ("", CSV, 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"a=1", 415, "unsupported_media_type"),
        ("text/csv", b"x" * 300_001, 413, "too_large"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "invalid_input"),
    ],
)
def test_a_body_that_is_no_file_is_refused_and_leaves_nothing(
    gateway: Gateway, http: FlaskClient, content_type: str, data: bytes, status: int, code: str
) -> None:
    answer = http.post("/v1/files", data=data, headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert gateway.stored_files() == []


def test_a_file_without_a_length_is_refused(gateway: Gateway, http: FlaskClient) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}

    answer = http.post("/v1/files", data=CSV, headers={"Content-Type": "text/csv"}, environ_overrides=chunked)

    assert (answer.status_code, answer.json["code"]) == (411, "length_required")
    assert gateway.stored_files() == []


@pytest.mark.parametrize("file_id", ["file_1", "..", "file_" + "0" * 36, "%2e%2e"])
def test_an_unknown_or_odd_id_is_a_404(http: FlaskClient, file_id: str) -> None:
    assert http.get(f"/v1/files/{file_id}").status_code == 404


@pytest.mark.parametrize("found", ["no field", "text"])
@pytest.mark.parametrize(("path", "name"), [("/v1/files", "file"), ("/v1/models/titanic/versions", "model")])
def test_a_form_without_a_file_says_what_it_has_instead(http: FlaskClient, path: str, name: str, found: str) -> None:
    data = {"metadata": "{}"} | ({name: "text"} if found == "text" else {})

    answer = http.post(path, data=data, content_type="multipart/form-data")

    (finding,) = answer.json["errors"]
    assert (answer.status_code, finding["pointer"], finding["code"]) == (422, f"/{name}", "missing")
    assert (finding["found"], finding["expected"]) == (found, "a file")
