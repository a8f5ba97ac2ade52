"""`Prefer: wait` holds for every submit."""

import io
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import RETENTION_S, dead_letter, failed, submitted
from tests.api.routes.test_models import SKOPS_LIKE
from tests.queuecast.adapters.waits import until

Submit = Callable[[FlaskClient, dict[str, str]], TestResponse]
TRAINING_ROWS = ",".join([*ROW, "survived"]).encode() + b"\n29.5,female,1,false,,1\n"


def predict(http: FlaskClient, headers: dict[str, str]) -> TestResponse:
    return http.post(PREDICTIONS, json={"inputs": [ROW]}, headers=headers)


def predict_rows_as_batch(http: FlaskClient, headers: dict[str, str]) -> TestResponse:
    return http.post("/v1/models/titanic/batches", json={"inputs": [ROW]}, headers=headers)


def train(http: FlaskClient, headers: dict[str, str]) -> TestResponse:
    file_id = http.post("/v1/files", data=TRAINING_ROWS, headers={"Content-Type": "text/csv"}).json["id"]
    body = {"file_id": file_id, "target": "survived"}
    return http.post("/v1/models/titanic/trainings", json=body, headers=headers)


def push(http: FlaskClient, headers: dict[str, str]) -> TestResponse:
    form = {"model": (io.BytesIO(SKOPS_LIKE), "m.skops"), "example": (io.BytesIO(b"age\n1\n"), "e.csv", "text/csv")}
    return http.post("/v1/models/ship/versions", data=form, headers=headers)


SUBMITS = [predict, predict_rows_as_batch, train, push]


def answer_of(gateway: Gateway, submit: Submit, prefer: str, *, ends: bool) -> TestResponse:
    """ends: a worker ends the newest job as soon as it is there."""
    app = gateway.app()
    known, answers = set(gateway.recorded()), []
    caller = threading.Thread(target=lambda: answers.append(submit(app.test_client(), {"Prefer": prefer})))
    caller.start()
    if ends:
        until(lambda: set(gateway.recorded()) - known)
        (job_id,) = set(gateway.recorded()) - known
        running = gateway.jobs.read(job_id).claimed("host:7", gateway.clock())
        gateway.jobs.replace(running)
        gateway.jobs.replace(running.succeeded(gateway.clock(), RETENTION_S), b"{}")
    caller.join(30)
    return answers[0]


def retry(gateway: Gateway, app: Flask) -> Submit:
    job_id = submitted(app.test_client())
    failed(gateway, job_id)
    return lambda http, headers: http.post(f"/v1/jobs/{job_id}/retry", headers=headers)


def replay(gateway: Gateway, app: Flask) -> Submit:
    job_id = dead_letter(gateway, app.test_client())
    return lambda http, headers: http.post(f"/v1/dead-letters/{job_id}/replay", headers=headers)


@pytest.mark.parametrize("prefer", ["wait=20", "wait=20.5", "wait"])
@pytest.mark.parametrize("submit", SUBMITS)
def test_a_submit_that_waits_returns_the_ended_job(gateway: Gateway, submit: Submit, prefer: str) -> None:
    answer = answer_of(gateway, submit, prefer, ends=True)

    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == {"wait": "wait=30"}.get(prefer, prefer)


@pytest.mark.parametrize("make", [retry, replay])
def test_running_a_job_again_may_wait_too(gateway: Gateway, make: Callable[[Gateway, Flask], Submit]) -> None:
    answer = answer_of(gateway, make(gateway, gateway.app()), "wait=20", ends=True)

    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == "wait=20"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=0.05"])
@pytest.mark.parametrize("submit", SUBMITS)
def test_a_job_that_does_not_end_in_time_is_accepted(gateway: Gateway, submit: Submit, prefer: str) -> None:
    answer = answer_of(gateway, submit, prefer, ends=False)

    assert (answer.status_code, answer.json["state"]) == (202, "queued")
    assert (answer.headers["Preference-Applied"], answer.headers["Retry-After"]) == (prefer, "1")


@pytest.mark.parametrize("submit", SUBMITS)
@pytest.mark.parametrize("prefer", ["respond-async", "wait=soon"])
def test_a_submit_without_a_wait_is_answered_at_once(http: FlaskClient, submit: Submit, prefer: str) -> None:
    answer = submit(http, {"Prefer": prefer})

    assert (answer.status_code, "Preference-Applied" in answer.headers) == (202, False)


def test_a_submit_is_accepted_when_too_many_requests_wait(gateway: Gateway) -> None:
    http = gateway.limited(max_waiters=0).test_client()

    answers = [submit(http, {"Prefer": "wait=5"}) for submit in SUBMITS]

    assert [answer.status_code for answer in answers] == [202] * 4
