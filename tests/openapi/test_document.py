"""The document that the gateway serves is valid OpenAPI 3.1 and complete."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.openapi.conftest import HERE, run

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("openapi")]
SUBMITS = {
    *("predictions_predict", "trainings_train", "evaluations_score", "batches_submit"),
    *("models_push", "jobs_retry", "queues_replay"),
}
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


@pytest.fixture(scope="module")
def spec(document: Path) -> Any:
    return json.loads(document.read_text())


@pytest.fixture(scope="module")
def operations(spec: Any) -> dict[str, Any]:
    return {each["operationId"]: each for path in spec["paths"].values() for each in path.values()}


def test_redocly_finds_nothing(document: Path, node: str, node_modules: Path) -> None:
    program = node_modules / "@redocly/cli/bin/cli.js"
    options = ["--config", HERE / "redocly.yaml", "--format", "json"]

    ended = run(node, program, "lint", *options, document, **QUIET)

    found = [f"{each['ruleId']}: {each['message']} {each['location']}" for each in json.loads(ended.stdout)["problems"]]
    assert found == []
    assert ended.returncode == 0


def test_the_only_server_is_the_gateway_itself(spec: Any) -> None:
    assert spec["openapi"].startswith("3.1.")
    assert [server["url"] for server in spec["servers"]] == ["/"]


def test_every_operation_with_parameters_or_a_body_describes_a_refusal(operations: dict[str, Any]) -> None:
    silent = {
        name
        for name, each in operations.items()
        if (each.get("parameters") or "requestBody" in each)
        and not any(status.startswith("4") for status in each["responses"])
    }

    assert len(operations) >= 29
    assert silent == set()


def test_every_json_body_has_an_example(operations: dict[str, Any]) -> None:
    bodies = {name: each["requestBody"]["content"] for name, each in operations.items() if "requestBody" in each}
    without = {
        name for name, content in bodies.items() if not content.get("application/json", {"examples": 1}).get("examples")
    }

    assert len(bodies) >= 7
    assert without == set()


def test_every_refusal_lists_its_codes(operations: dict[str, Any]) -> None:
    """As examples: with an enumeration, each new code would break the generated clients."""
    refusals = {
        (name, status): response["content"]["application/problem+json"]
        for name, each in operations.items()
        for status, response in each["responses"].items()
        if status[0] in "45"
    }
    without = {place for place, media in refusals.items() if not media.get("examples")}

    assert ("jobs_read", "404") in refusals
    assert without == set()


def test_the_answer_to_a_submit_has_the_place_of_the_job_and_a_time_to_poll(operations: dict[str, Any]) -> None:
    headers = {name: set(operations[name]["responses"]["202"]["headers"]) for name in SUBMITS}

    assert {name: {"Location", "Retry-After", "ETag"} - found for name, found in headers.items()} == {
        name: set() for name in SUBMITS
    }


def test_a_submit_links_to_its_job(operations: dict[str, Any], spec: Any) -> None:
    led_to = {
        name: {
            spec["components"]["links"][link["$ref"].rpartition("/")[2]]["operationId"]
            for link in operations[name]["responses"]["202"]["links"].values()
        }
        for name in SUBMITS
    }

    assert all({"jobs_read", "jobs_result", "jobs_cancel"} <= found for found in led_to.values()), led_to


def test_times_have_the_format_of_times(spec: Any) -> None:
    timed = spec["components"]["schemas"]["PredictionJob"]["properties"]

    assert timed["created_at"]["format"] == "date-time"
    assert {"type": "null"} in timed["finished_at"]["anyOf"]
