"""The OpenAPI document against the gateway that serves it: its bounds are the gateway's own."""

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from api.http.errors import STATUSES
from api.schemas import examples, requests
from queuecast.domain.job import JobType
from tests.api.conftest import Gateway
from tests.api.job_states import submitted


def document(http: FlaskClient) -> Any:
    return http.get("/openapi.json").json


def test_a_timeout_is_bounded_by_the_settings_of_the_gateway(gateway: Gateway) -> None:
    limits = {JobType.PREDICTION: 7.5, JobType.TRAINING: 8.0, JobType.IMPORT: 9.0, JobType.BATCH: 10.0}
    gateway.limits = replace(gateway.limits, max_timeouts_s=limits)

    schemas = document(gateway.app().test_client())["components"]["schemas"]

    maxima = {kind: schemas[f"{kind.value.title()}Timeout"]["maximum"] for kind in limits if kind is not JobType.IMPORT}
    assert maxima == {JobType.PREDICTION: 7.5, JobType.TRAINING: 8.0, JobType.BATCH: 10.0}


def test_both_batch_requests_together_have_the_fields_of_the_one_that_is_decoded() -> None:
    fields = {kind: set(kind.__struct_fields__) for kind in (requests.BatchOfFile, requests.BatchOfRows)}

    assert set.union(*fields.values()) == set(requests.BatchRequest.__struct_fields__)
    assert fields[requests.BatchOfFile] ^ fields[requests.BatchOfRows] == {"file_id", "inputs"}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (requests.PredictionRequest, examples.PREDICTION),
        (requests.TrainingRequest, examples.TRAINING),
        (requests.BatchRequest, examples.BATCH),
        (requests.AliasRequest, examples.ALIAS),
        (requests.RollbackRequest, examples.ROLLBACK),
    ],
)
def test_every_example_of_a_body_is_decoded(kind: Any, shown: dict[str, examples.Example]) -> None:
    assert shown
    for example in shown.values():
        msgspec.json.decode(msgspec.json.encode(example.value), type=kind)


def test_a_refusal_has_the_status_and_the_codes_of_its_errors(http: FlaskClient) -> None:
    statuses: dict[str, set[int]] = {}
    for error, status in STATUSES.items():
        statuses.setdefault(error.code, set()).add(status)

    for operations in document(http)["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                problems = response.get("content", {}).get("application/problem+json", {"examples": {}})["examples"]
                for code, example in problems.items():
                    assert example["value"]["status"] == int(status)
                    assert int(status) in statuses.get(code, {int(status)}) or status == "409"


def test_a_problem_lists_every_code_as_an_example(http: FlaskClient) -> None:
    codes = document(http)["components"]["schemas"]["Problem"]["properties"]["code"]["examples"]

    assert codes == sorted(codes)
    assert {error.code for error in STATUSES} - set(codes) == set()


def test_a_chunk_of_a_batch_is_not_a_job_of_a_caller(gateway: Gateway) -> None:
    http = gateway.app().test_client()
    job = gateway.jobs.read(submitted(http))
    chunk = replace(job, id="chunk_0000000c", type=JobType.CHUNK, parent=job.id)
    gateway.jobs.create(chunk, gateway.jobs.read_work(job.id)[0])

    answer = http.get(f"/v1/jobs/{chunk.id}")

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_job")


def test_the_page_loads_nothing_from_another_host(http: FlaskClient) -> None:
    page = http.get("/docs").text

    assert "swagger-ui" in page
    assert re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"(?!data:)", page) == []
