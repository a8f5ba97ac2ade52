"""Answers of every shape that an estimator can give, against the document that the gateway serves.

`test_unscripted.py` uses a single model, a classifier with two labels on a frame; these tests use five more estimators.
"""

from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import requests
import schemathesis
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import StandardScaler

from queuecast import Client
from tests.system.conftest import Stack

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("openapi")]
X = np.random.default_rng(0).normal(size=(60, 3))
LABELS = np.where(X[:, 0] > 0, "yes", "no")
ESTIMATORS: dict[str, tuple[Any, Any]] = {
    "words": (LogisticRegression(), LABELS),
    "several-labels": (MultiOutputClassifier(LogisticRegression()), np.c_[LABELS, LABELS[::-1]]),
    "several-numbers": (LinearRegression(), X[:, :2]),
    "scores": (IsolationForest(n_estimators=5, random_state=0), None),
    "transforms": (StandardScaler(), None),
}
JOB, RESULT = "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/result"


class ValidatingClient:
    """Sends requests and validates each answer against the document."""

    def __init__(self, url: str, document: Path) -> None:
        self._url = url
        self._schema = schemathesis.openapi.from_path(document)

    def send(self, method: str, path: str, values: dict[str, Any], status: int = 200, **request: Any) -> Any:
        answer = requests.request(method, self._url + path.format(**values), timeout=60, **request)
        self._schema[path][method].validate_response(answer)
        assert answer.status_code == status, answer.text
        return answer

    def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        place = {"job_id": job["id"]}
        self.send("GET", JOB, place, headers={"Prefer": "wait=30"})
        self.send("GET", f"{JOB}/events", place)
        self.send("GET", f"{JOB}/errors", place)
        return place


@pytest.fixture(scope="module")
def validating_client(service: Stack, document: Path) -> ValidatingClient:
    return ValidatingClient(service.url, document)


@pytest.fixture(params=ESTIMATORS)
def model(request: pytest.FixtureRequest, service: Stack) -> str:
    """The name of a model that was pushed."""
    estimator, target = ESTIMATORS[request.param]
    with Client(service.url) as client:
        client.push(request.param, estimator.fit(X, target), X, target).result(60)
    return str(request.param)


def test_answers_of_a_model_are_as_described(model: str, validating_client: ValidatingClient, service: Stack) -> None:
    manifest = httpx2.get(f"{service.url}/v1/models/{model}/versions/1").json()
    place, rows = {"model": model, "version": 1}, manifest["signature"]["example"]

    for path in ("", "/versions", "/versions/{version}", "/versions/{version}/schema", "/schema", "/history"):
        validating_client.send("GET", "/v1/models/{model}" + path, place)
    for method in manifest["signature"]["methods"]:
        body = {"inputs": rows, "method": method}
        submit = validating_client.send("POST", "/v1/models/{model}/predictions", place, 202, json=body)
        validating_client.send("GET", RESULT, validating_client.ended(submit.json()))


def test_deletions_are_as_described(service: Stack, validating_client: ValidatingClient) -> None:
    with Client(service.url) as client:
        for _ in range(3):
            client.push("deleted", LinearRegression().fit(X, X[:, 0]), X, X[:, 0]).result(60)
    send, model, version = validating_client.send, "/v1/models/{model}", "/v1/models/{model}/versions/{version}"
    first, second = ({"model": "deleted", "version": number} for number in (1, 2))
    body, any_state = {"inputs": [[1, 2, 3]]}, {"If-Match": "*"}

    send("DELETE", version, first, 409)
    send("DELETE", version, second, 204, params={"reason": "as a trial"})
    send("DELETE", version, second, 204)
    send("GET", version, second, 410)
    send("POST", f"{model}/predictions", second, 410, json=body | {"version": 2})
    send("DELETE", model, first, 428)
    send("DELETE", model, first, 412, headers={"If-Match": '"1"'})
    send("DELETE", model, first, 204, headers=any_state)
    send("DELETE", model, first, 204, headers=any_state)
    for path in (model, f"{model}/versions", f"{model}/schema"):
        send("GET", path, first, 410)
    send("POST", f"{model}/predictions", first, 410, json=body)
    send("POST", f"{model}/rollback", first, 410)
    history = send("GET", f"{model}/history", first).json()["data"]
    assert [(move["action"], move["alias"], move["version"]) for move in history] == [
        ("import", "champion", 1),
        ("delete_version", None, 2),
        ("delete_model", None, 3),
    ]


@pytest.mark.parametrize("output_format", ["csv", "ndjson", "json", "parquet"])
def test_a_batch_and_its_file_are_as_described(output_format: str, validating_client: ValidatingClient) -> None:
    table = b"pclass,sex,age,sibsp,parch,fare,embarked\n1,male,3,0,0,7.5,S\nx,male,3,0,0,7.5,S\n1,male\n"
    query = {"name": "rows.csv"}
    headers = {"Content-Type": "application/octet-stream"}
    stored = validating_client.send("POST", "/v1/files", {}, 201, data=table, params=query, headers=headers).json()
    body = {"file_id": stored["id"], "output_format": output_format, "id_column": "sex"}

    batch = validating_client.send("POST", "/v1/models/{model}/batches", {"model": "titanic"}, 202, json=body).json()
    place = validating_client.ended(batch)
    whole = validating_client.send("GET", RESULT, place)

    validating_client.send("GET", RESULT, place, 206, headers={"Range": "bytes=2-5"})
    validating_client.send("GET", RESULT, place, 304, headers={"If-None-Match": whole.headers["ETag"]})
    validating_client.send("GET", RESULT, place, 406, headers={"Accept": "image/png"})
    validating_client.send("GET", RESULT, place, 416, headers={"Range": "bytes=999999-"})


def test_an_evaluation_and_its_refusals_are_as_described(validating_client: ValidatingClient, table: Path) -> None:
    with table.open("rb") as file:
        stored = validating_client.send(
            "POST", "/v1/files", {}, 201, files={"file": ("rows.csv", file, "text/csv")}
        ).json()
    path, titanic = "/v1/models/{model}/evaluations", {"model": "titanic"}
    body = {"file_id": stored["id"], "target": "survived", "versions": ["champion", 1]}

    place = validating_client.ended(validating_client.send("POST", path, titanic, 202, json=body).json())
    result = validating_client.send("GET", JOB, place).json()["result"]
    validating_client.send("GET", RESULT, place)
    validating_client.send("GET", f"{JOB}/errors", place)

    assert result["versions"][0]["scores"][0]["score"]["value"] is not None
    validating_client.send("POST", path, titanic, 404, json=body | {"versions": [99]})
    validating_client.send("POST", path, titanic, 422, json=body | {"target": "boat"})
    validating_client.send("POST", path, {"model": "none"}, 404, json=body)


def test_failed_retried_deleted_and_expired_jobs_are_as_described(
    validating_client: ValidatingClient, table: Path
) -> None:
    with table.open("rb") as file:
        stored = validating_client.send(
            "POST", "/v1/files", {}, 201, files={"file": ("rows.csv", file, "text/csv")}
        ).json()
    titanic, body = {"model": "titanic"}, {"file_id": stored["id"], "target": "survived"}
    rows = validating_client.send("GET", "/v1/models/{model}/schema", titanic).json()["examples"]

    train = "/v1/models/{model}/trainings"
    failed = validating_client.send("POST", train, titanic, 202, json=body | {"params": {"model__C": -1}}).json()
    place = validating_client.ended(failed)
    validating_client.send("GET", RESULT, place, 409)
    again = validating_client.send("POST", f"{JOB}/retry", place, 202).json()
    validating_client.ended(again)
    validating_client.send("DELETE", JOB, place, 204)
    validating_client.send("GET", JOB, place, 410)
    late = {"inputs": rows, "expires_in_s": 1e-6}
    expired = validating_client.send("POST", "/v1/models/{model}/predictions", titanic, 202, json=late).json()
    validating_client.ended(expired)
    validating_client.send("GET", "/v1/jobs", {})
