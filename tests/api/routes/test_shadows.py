"""A version shadows the champion: set, read and ended over HTTP."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.errors import Failure
from tests.api.conftest import Gateway

PATH = "/v1/models/titanic/shadow"


@pytest.fixture
def two(gateway: Gateway) -> Gateway:
    """A model with champion 1 and version 2."""
    for number in range(2 - len(gateway.models.versions("titanic"))):
        gateway.publish(sha256=str(number + 1) * 64)
    return gateway


def test_a_model_without_a_shadow_says_so(two: Gateway, http: FlaskClient) -> None:
    body = http.get(PATH).json

    assert (body["state"], body["version"], body["champion"], body["agreement"]) == ("off", None, 1, None)


def test_a_shadow_is_set_read_and_ended(two: Gateway, http: FlaskClient) -> None:
    put = http.put(PATH, json={"version": 2, "sample": 0.1})
    assert put.status_code == 200
    assert (put.json["state"], put.json["version"], put.json["sample"]) == ("running", 2, 0.1)
    assert http.get(PATH).json == put.json

    assert [http.delete(PATH).status_code for _ in range(2)] == [204, 204]
    assert http.get(PATH).json["state"] == "off"


def test_the_answer_has_the_comparison(two: Gateway, http: FlaskClient) -> None:
    http.put(PATH, json={"version": 2})
    counters: dict[str, float] = {"sent": 5, "compared": 2, "skipped": 1, "rows": 8, "agreeing_rows": 6}
    two.shadows.add(
        "titanic", 1, 2, {**counters, "numbers": 8, "difference": 2.0, "champion:40": 2, "shadow:44": 2}, 1.0
    )
    two.shadows.add("titanic", 1, 2, {"failed": 1}, 2.0, Failure("run_failed", "it raised"))

    body = http.get(PATH).json

    jobs = {"sent": 5, "compared": 2, "not_compared": 0, "failed": 1, "skipped": 1, "unfinished": 2}
    assert body["jobs"] == jobs
    assert (body["rows"], body["agreement"], body["mean_absolute_difference"]) == (8, 0.75, 0.25)
    assert body["champion_row_ms"] == {"p50": 1.024, "p99": 1.024}
    assert body["shadow_row_ms"] == {"p50": 2.048, "p99": 2.048}
    assert (body["state"], body["failure"]["code"]) == ("failing", "run_failed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"version": 2, "sample": 0}, 422, "invalid_input"),
        ({"version": 2, "sample": 1.5}, 422, "invalid_input"),
        ({"version": 2, "smaple": 1}, 422, "invalid_input"),
        ({"sample": 1}, 422, "invalid_input"),
        ({"version": 9}, 404, "unknown_version"),
        ({"version": 1}, 409, "conflict"),
    ],
)
def test_a_shadow_is_another_version_and_a_share(
    two: Gateway, http: FlaskClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = http.put(PATH, json=body)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert http.get(PATH).json["state"] == "off"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_model_has_no_shadow(two: Gateway, http: FlaskClient, method: str) -> None:
    answer = http.open("/v1/models/nobody/shadow", method=method, json={"version": 1})

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_model")
