"""Every route that needs the store says so when it is unavailable, and writes nothing halfway."""

import io
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.routes.test_models import SKOPS_LIKE
from tests.unreachable import UnreachableAliases, UnreachableJobs, UnreachableLanes

TRAININGS = "/v1/models/titanic/trainings"
BATCHES = "/v1/models/titanic/batches"
VERSIONS = "/v1/models/titanic/versions"
ALIAS = "/v1/models/titanic/aliases/champion"
# Where the store is not asked: what is on disk, and the gateway's own word.
WITHOUT_STORE = {
    ("POST", "/v1/files"),
    ("GET", "/v1/files/{file_id}"),
    ("DELETE", "/v1/files/{file_id}"),
    ("GET", "/livez"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
}


def form() -> dict[str, Any]:
    return {"model": (io.BytesIO(SKOPS_LIKE), "m.skops"), "example": (io.BytesIO(b"age\n1\n"), "e.csv", "text/csv")}


CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", PREDICTIONS): {"json": {"inputs": [ROW]}},
    ("POST", BATCHES): {"json": {"inputs": [ROW]}},
    ("POST", TRAININGS): {"json": {"file_id": "file_x", "target": "survived"}},
    ("POST", "/v1/models/titanic/evaluations"): {"json": {"file_id": "file_x", "target": "survived"}},
    ("POST", VERSIONS): {"data": form},
    ("GET", VERSIONS): {},
    ("GET", "/v1/models"): {},
    ("GET", "/v1/models/titanic"): {},
    ("DELETE", "/v1/models/titanic"): {"headers": {"If-Match": "*"}},
    ("GET", "/v1/models/titanic/versions/1"): {},
    ("DELETE", "/v1/models/titanic/versions/1"): {},
    ("GET", "/v1/models/titanic/versions/1/schema"): {},
    ("GET", "/v1/models/titanic/schema"): {},
    ("GET", "/v1/models/titanic/history"): {},
    ("PUT", ALIAS): {"json": {"version": 1}, "headers": {"If-Match": "*"}},
    ("DELETE", ALIAS): {"headers": {"If-Match": "*"}},
    ("POST", "/v1/models/titanic/rollback"): {},
    ("GET", "/v1/models/titanic/shadow"): {},
    ("PUT", "/v1/models/titanic/shadow"): {"json": {"version": 1}},
    ("DELETE", "/v1/models/titanic/shadow"): {},
    ("GET", "/v1/models/titanic/outcomes"): {},
    ("GET", "/v1/jobs"): {},
    ("GET", "/v1/jobs/job_1"): {},
    ("DELETE", "/v1/jobs/job_1"): {},
    ("GET", "/v1/jobs/job_1/result"): {},
    ("GET", "/v1/jobs/job_1/errors"): {},
    ("GET", "/v1/jobs/job_1/finished-rows"): {},
    ("GET", "/v1/jobs/job_1/events"): {},
    ("GET", "/v1/jobs/job_1/report"): {},
    ("POST", "/v1/jobs/job_1/outcomes"): {"json": {"outcomes": [1]}},
    ("POST", "/v1/jobs/job_1/cancel"): {},
    ("POST", "/v1/jobs/job_1/retry"): {},
    ("GET", "/v1/queues"): {},
    ("GET", "/v1/dead-letters"): {},
    ("POST", "/v1/dead-letters/job_1/replay"): {},
    ("GET", "/readyz"): {},
}


def sent(http: FlaskClient, method: str, path: str) -> Any:
    options = {name: value() if callable(value) else value for name, value in CALLS[method, path].items()}
    return http.open(path, method=method, **options)


@pytest.fixture
def unreachable(gateway: Gateway) -> FlaskClient:
    parts = {"jobs": UnreachableJobs(), "lanes": UnreachableLanes(gateway.jobs), "aliases": UnreachableAliases()}
    return gateway.app(**parts).test_client()


def pattern(path: str) -> str:
    """The route of a path in CALLS."""
    path = re.sub(r"/jobs/job_1", "/jobs/{job_id}", path)
    path = re.sub(r"/dead-letters/job_1", "/dead-letters/{job_id}", path)
    path = path.replace("/versions/1", "/versions/{version}").replace("/aliases/champion", "/aliases/{alias}")
    return path.replace("/models/titanic", "/models/{model}")


def test_every_route_that_needs_the_store_is_tested_here(gateway: Gateway) -> None:
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in gateway.app().url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert {(method, pattern(path)) for method, path in CALLS} | WITHOUT_STORE == routes


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_an_unavailable_store_is_a_503_with_retry_after(
    gateway: Gateway, unreachable: FlaskClient, method: str, path: str
) -> None:
    answer = sent(unreachable, method, path)

    assert (answer.status_code, answer.json["code"]) == (503, "unavailable")
    assert (answer.headers["Retry-After"], answer.mimetype) == ("1", "application/problem+json")
    assert gateway.recorded() == []


@pytest.mark.parametrize(("method", "path"), [("POST", PREDICTIONS), ("GET", "/v1/jobs/job_1")])
def test_a_preferred_wait_does_not_delay_a_503(unreachable: FlaskClient, method: str, path: str) -> None:
    json = CALLS[method, path].get("json")

    answer = unreachable.open(path, method=method, json=json, headers={"Prefer": "wait=20"})

    assert answer.status_code == 503


def test_the_gateway_is_live_while_the_store_is_unavailable(unreachable: FlaskClient) -> None:
    assert unreachable.get("/livez").status_code == 200


def test_an_acceptance_stands_if_the_store_becomes_unavailable_after_it(gateway: Gateway) -> None:
    class JobsUnreachableForReads(type(gateway.jobs)):  # type: ignore[misc]
        read_with_result = UnreachableJobs.read_with_result

    http = gateway.app(jobs=JobsUnreachableForReads()).test_client()

    answer = http.post(PREDICTIONS, json={"inputs": [ROW]}, headers={"Prefer": "wait=20"})

    assert (answer.status_code, answer.json["state"]) == (202, "queued")
