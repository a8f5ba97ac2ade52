"""`POST /v1/jobs/{id}/outcomes` and the live metrics that follow."""

import json

import msgspec
import pytest
from flask.testing import FlaskClient

from api.schemas.live_outcomes import JobOutcomes, LiveOutcomes
from queuecast.domain.job import State
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import ended, in_state

PROBABILITIES = {"method": "predict_proba", "classes": [0, 1], "probabilities": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]}


@pytest.fixture
def predicted(http: FlaskClient, gateway: Gateway) -> str:
    """The id of a job with three rows that succeeded."""
    job_id: str = http.post(PREDICTIONS, json={"inputs": [ROW] * 3, "method": "predict_proba"}).json["id"]
    ended(gateway, job_id, json.dumps(PROBABILITIES).encode())
    return job_id


def test_outcomes_become_live_metrics(http: FlaskClient, predicted: str) -> None:
    added = http.post(f"/v1/jobs/{predicted}/outcomes", json={"outcomes": [0, 1, 1]})
    shown = http.get("/v1/models/titanic/outcomes")

    assert msgspec.convert(added.json, JobOutcomes) == JobOutcomes(predicted, 3, [1], added=True)
    live = msgspec.convert(shown.json, LiveOutcomes)
    (version,) = live.versions
    assert (version.version, version.aliases, version.rows, version.total) == (1, ["champion"], 3, 3)
    scores = {each.metric: each for each in version.scores}
    assert sorted(scores) == ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc"]
    assert scores["accuracy"].score.value == pytest.approx(2 / 3)
    assert scores["roc_auc"].score.value == 1.0
    assert scores["accuracy"].rows == 3


def test_the_shadow_is_scored_on_the_same_rows(http: FlaskClient, gateway: Gateway, predicted: str) -> None:
    answer = PROBABILITIES | {"probabilities": [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]}
    gateway.outcomes.keep_answers(2, {predicted: json.dumps(answer).encode()})

    added = http.post(f"/v1/jobs/{predicted}/outcomes", json={"outcomes": [0, 1, 1]})

    assert added.json["versions"] == [1, 2]
    versions = {each["version"]: each["scores"][0] for each in http.get("/v1/models/titanic/outcomes").json["versions"]}
    assert versions[1]["score"]["value"] == pytest.approx(2 / 3)
    assert versions[2]["score"]["value"] == 1.0


def test_the_same_outcomes_again_do_nothing_and_others_are_refused(http: FlaskClient, predicted: str) -> None:
    url = f"/v1/jobs/{predicted}/outcomes"
    http.post(url, json={"outcomes": [0, 1, 1]})

    same, other = (http.post(url, json={"outcomes": outcomes}) for outcomes in ([0, 1, 1], [0, 0, 0]))

    assert (same.status_code, same.json["added"]) == (200, False)
    assert (other.status_code, other.json["code"]) == (409, "conflict")
    assert http.get("/v1/models/titanic/outcomes").json["versions"][0]["total"] == 3


@pytest.mark.parametrize(
    ("outcomes", "pointer"), [([0, 1], "/outcomes"), ([0, 1, 2], "/outcomes/2"), ([0, 1, True], "/outcomes/2")]
)
def test_outcomes_that_do_not_fit_are_refused_and_nothing_is_stored(
    http: FlaskClient, predicted: str, outcomes: list[object], pointer: str
) -> None:
    answer = http.post(f"/v1/jobs/{predicted}/outcomes", json={"outcomes": outcomes})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
    assert http.get("/v1/models/titanic/outcomes").json["versions"] == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.SUCCEEDED])
def test_a_job_without_answers_takes_no_outcomes(http: FlaskClient, gateway: Gateway, state: State) -> None:
    job_id = in_state(gateway, http, state)

    answer = http.post(f"/v1/jobs/{job_id}/outcomes", json={"outcomes": [1]})

    assert answer.status_code == 409
    assert f"is {state}" in answer.json["detail"]


def test_a_batch_takes_no_outcomes(http: FlaskClient) -> None:
    job_id = http.post("/v1/models/titanic/batches", json={"inputs": [ROW]}).json["id"]

    answer = http.post(f"/v1/jobs/{job_id}/outcomes", json={"outcomes": [1]})

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert "is a batch; only a prediction takes outcomes" in answer.json["detail"]


def test_too_many_bytes_are_refused(http: FlaskClient, predicted: str) -> None:
    assert http.post(f"/v1/jobs/{predicted}/outcomes", json={"outcomes": [0] * 100_000}).status_code == 413


def test_a_model_that_does_not_exist_has_no_live_metrics(http: FlaskClient) -> None:
    assert http.get("/v1/models/nothing/outcomes").json["code"] == "unknown_model"
