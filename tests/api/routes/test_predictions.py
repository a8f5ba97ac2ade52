"""Submitting rows: the job is accepted at once or returned after a wait, and its version is pinned."""

import json
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.errors import UnknownJobError
from queuecast.domain.model import AliasMove
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.work import Method
from tests.api.conftest import COLUMNS, PREDICTIONS, ROW, Gateway
from tests.unreachable import UnreachableDoorbell

TRAINING_FILE = ",".join([*ROW, "survived"]).encode() + b"\n29.5,female,1,false,,1\n"


def finish_when_rung(gateway: Gateway, result: bytes) -> threading.Thread:
    """Acts as a worker for the next job that the doorbell announces."""

    def work() -> None:
        pause = threading.Event()
        while not gateway.doorbell.rung:
            pause.wait(0.005)
        claimed = gateway.jobs.read(gateway.recorded()[0]).claimed("w", gateway.clock())
        gateway.jobs.replace(claimed)
        gateway.jobs.replace(claimed.succeeded(gateway.clock(), 3600), result)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_submit_is_accepted_recorded_and_rung_for(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW], "metadata": {"passenger": 7}})

    job = answer.json
    work, rows = gateway.jobs.read_work(job["id"])
    assert answer.status_code == 202
    assert answer.headers["Location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert (job["state"], job["model"]["version"], job["model"]["alias"]) == ("queued", 1, "champion")
    assert (job["metadata"], job["created_at"]) == ({"passenger": 7}, "2023-11-14T22:13:20.000Z")
    assert gateway.doorbell.rung == ["prediction/titanic/1/predict"]
    assert (work.n_rows, json.loads(rows)) == (1, [ROW])


def test_rows_are_stored_as_the_bytes_that_were_sent(gateway: Gateway, http: FlaskClient) -> None:
    text = b'{"inputs": [ {"age": 29.50, "sex": "female", "sibsp": 1, "alone": false, "deck": null} ]}'

    answer = http.post(PREDICTIONS, data=text, headers={"Content-Type": "application/json"})

    assert gateway.jobs.read_work(answer.json["id"])[1] in text


def test_a_job_that_ends_within_the_wait_is_returned_with_its_result(gateway: Gateway, http: FlaskClient) -> None:
    worker = finish_when_rung(gateway, b'{"predictions":[1]}')

    answer = http.post(PREDICTIONS, json={"inputs": [ROW]}, headers={"Prefer": "wait=20"})
    worker.join()

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    assert (answer.json["state"], answer.json["result"]) == ("succeeded", {"predictions": [1]})


def test_a_wait_that_expires_returns_202(http: FlaskClient) -> None:
    answer = http.post(PREDICTIONS, json={"inputs": [ROW]}, headers={"Prefer": "wait=0"})

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=0")
    assert "Location" in answer.headers


def test_with_too_many_waiters_a_submit_is_accepted_and_a_read_is_refused(gateway: Gateway) -> None:
    app = gateway.app()
    queued = app.test_client().post(PREDICTIONS, json={"inputs": [ROW]}).json["id"]
    parked = [
        threading.Thread(target=lambda: app.test_client().get(f"/v1/jobs/{queued}", headers={"Prefer": "wait=20"}))
        for _ in range(2)
    ]
    for thread in parked:
        thread.start()
    pause, reads = threading.Event(), []
    while not reads or reads[-1].status_code == 200:
        pause.wait(0.01)
        reads.append(app.test_client().get(f"/v1/jobs/{queued}", headers={"Prefer": "wait=0"}))

    submitted = app.test_client().post(PREDICTIONS, json={"inputs": [ROW]}, headers={"Prefer": "wait=20"})
    app.test_client().post(f"/v1/jobs/{queued}/cancel")
    for thread in parked:
        thread.join(30)

    assert (reads[-1].status_code, reads[-1].json["code"]) == (503, "too_many_waiters")
    assert "Retry-After" in reads[-1].headers
    assert submitted.status_code == 202
    assert "Preference-Applied" not in submitted.headers
    assert not any(thread.is_alive() for thread in parked)


def test_the_version_is_pinned_when_the_job_is_accepted(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish(sha256="1" * 64)

    by_number = http.post(PREDICTIONS, json={"inputs": [ROW], "version": 2}).json["model"]
    by_alias = http.post(PREDICTIONS, json={"inputs": [ROW], "version": "champion"}).json["model"]

    assert (by_number["version"], by_number["alias"], by_number["sha256"]) == (2, None, "1" * 64)
    assert (by_alias["version"], by_alias["alias"]) == (1, "champion")


def test_a_deadline_is_recorded_in_the_job(http: FlaskClient) -> None:
    job = http.post(PREDICTIONS, json={"inputs": [ROW], "expires_in_s": 60}).json

    assert job["expires_at"] == "2023-11-14T22:14:20.000Z"


def test_a_burst_for_one_version_and_method_is_rung_for_once(gateway: Gateway, http: FlaskClient) -> None:
    for method in ("predict", "predict", "predict_proba", "predict"):
        http.post(PREDICTIONS, json={"inputs": [ROW], "method": method})

    assert gateway.doorbell.rung == ["prediction/titanic/1/predict", "prediction/titanic/1/predict_proba"]


def test_a_job_is_accepted_without_a_doorbell_because_the_reaper_rings(gateway: Gateway) -> None:
    answer = gateway.app(doorbell=UnreachableDoorbell()).test_client().post(PREDICTIONS, json={"inputs": [ROW]})

    assert (answer.status_code, gateway.recorded()) == (202, [answer.json["id"]])


@pytest.mark.parametrize(
    ("path", "most_s"), [("/v1/models/titanic/predictions", 300), ("/v1/models/titanic/trainings", 7200)]
)
@pytest.mark.parametrize(("more_s", "status"), [(-1, 202), (0, 202), (0.5, 422)])
def test_a_timeout_may_be_shorter_than_the_setting_but_not_longer(
    http: FlaskClient, path: str, most_s: int, more_s: float, status: int
) -> None:
    file_id = http.post("/v1/files", data=TRAINING_FILE, headers={"Content-Type": "text/csv"}).json["id"]
    body = {"inputs": [ROW]} if "predictions" in path else {"file_id": file_id, "target": "survived"}

    answer = http.post(path, json=body | {"timeout_s": most_s + more_s})

    assert answer.status_code == status
    if status == 202:
        assert answer.json["timeout_s"] == most_s + more_s
    else:
        (finding,) = answer.json["errors"]
        assert (finding["pointer"], finding["code"]) == ("/timeout_s", "too_long")
        assert f"found {most_s + more_s:g} s, expected at most {most_s} s" in finding["detail"]


def test_a_timeout_defaults_to_the_setting_and_is_the_same_in_every_response(
    http: FlaskClient,
) -> None:
    submitted = http.post(PREDICTIONS, json={"inputs": [ROW]})
    read = http.get(submitted.headers["Location"])

    assert ['"timeout_s":300.0,' in answer.text for answer in (submitted, read)] == [True, True]


@pytest.mark.parametrize("name", ["timeout_s", "expires_in_s"])
@pytest.mark.parametrize("value", [0, -1, 86400 * 7 + 1, "10", True, [], 1e999])
def test_an_invalid_duration_is_refused_with_a_pointer(
    gateway: Gateway, http: FlaskClient, name: str, value: Any
) -> None:
    data = json.dumps({"inputs": [ROW], name: value}).replace("Infinity", "1e999")

    answer = http.post(PREDICTIONS, data=data, headers={"Content-Type": "application/json"})

    assert (answer.status_code, [error["pointer"] for error in answer.json["errors"]]) == (422, [f"/{name}"])
    assert gateway.recorded() == []


@pytest.mark.parametrize("seconds", [0.001, 1, 86400 * 7])
def test_a_deadline_may_be_up_to_seven_days_away(http: FlaskClient, seconds: float) -> None:
    assert http.post(PREDICTIONS, json={"inputs": [ROW], "expires_in_s": seconds}).status_code == 202


def test_readiness_counts_workers_but_does_not_depend_on_them(http: FlaskClient) -> None:
    answer = http.get("/readyz")

    assert (answer.status_code, answer.json) == (200, {"status": "ready", "redis": "ok", "workers": {"predict": 2}})


def test_every_response_has_a_request_id(http: FlaskClient) -> None:
    given = http.get("/livez", headers={"X-Request-ID": "abc-1", "traceparent": "00-1-2-03"})
    made = http.get("/nowhere")

    assert (given.headers["X-Request-ID"], given.headers["traceparent"]) == ("abc-1", "00-1-2-03")
    assert made.headers["X-Request-ID"] == made.json["request_id"]


def test_an_unknown_route_and_a_wrong_method_are_problems_too(http: FlaskClient) -> None:
    unknown, wrong = http.get("/v1/nothing"), http.delete(PREDICTIONS)

    assert (unknown.status_code, unknown.mimetype) == (404, "application/problem+json")
    assert (wrong.status_code, wrong.json["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]


def test_an_unexpected_error_is_a_500_without_secrets(gateway: Gateway) -> None:
    class JobsWithUnexpectedError(type(gateway.jobs)):  # type: ignore[misc]
        def read_with_result(self, job_id: str) -> None:
            raise RuntimeError("password hunter2")

    answer = gateway.app(jobs=JobsWithUnexpectedError()).test_client().get("/v1/jobs/job_1")

    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text


def test_an_unknown_job_is_a_404(gateway: Gateway, http: FlaskClient) -> None:
    answer = http.get("/v1/jobs/job_unknown")

    assert (answer.status_code, answer.json["code"]) == (404, UnknownJobError.code)


@pytest.mark.parametrize(("priority", "lane"), [(None, ""), ("normal", ""), ("high", "/high"), ("low", "/low")])
def test_a_priority_chooses_the_lane(gateway: Gateway, http: FlaskClient, priority: str | None, lane: str) -> None:
    given = {} if priority is None else {"priority": priority}
    answer = http.post(PREDICTIONS, json={"inputs": [ROW], **given})

    assert gateway.jobs.read(answer.json["id"]).lane == f"prediction/titanic/1/predict{lane}"


def test_an_alias_that_moved_since_the_last_submit_is_resolved_again(gateway: Gateway, http: FlaskClient) -> None:
    first = http.post(PREDICTIONS, json={"inputs": [ROW]})
    second_version = gateway.publish().version
    move = AliasMove(2, "champion", second_version, 1, gateway.clock(), "api")
    gateway.aliases.move("titanic", move)

    second = http.post(PREDICTIONS, json={"inputs": [ROW]})

    assert [each.json["model"]["version"] for each in (first, second)] == [1, second_version]
    assert gateway.doorbell.rung == ["prediction/titanic/1/predict", f"prediction/titanic/{second_version}/predict"]


def test_rows_are_checked_against_the_new_version_if_the_alias_has_moved(gateway: Gateway, http: FlaskClient) -> None:
    http.post(PREDICTIONS, json={"inputs": [ROW]})
    signature = Signature(Layout.FRAME, COLUMNS[:1], (Method.PREDICT,), ({"age": 1.0},))
    version = gateway.publish(signature=signature).version
    gateway.aliases.move("titanic", AliasMove(2, "champion", version, 1, gateway.clock(), "api"))

    answer = http.post(PREDICTIONS, json={"inputs": [ROW], "extra_columns": "refuse"})

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/inputs/0/alone")


def test_rows_that_fit_only_the_new_version_are_accepted_if_the_alias_has_moved(
    gateway: Gateway, http: FlaskClient
) -> None:
    signature = Signature(Layout.FRAME, COLUMNS[:1], (Method.PREDICT,), ({"age": 1.0},))
    version = gateway.publish(signature=signature).version
    http.post(PREDICTIONS, json={"inputs": [ROW]})
    gateway.aliases.move("titanic", AliasMove(2, "champion", version, 1, gateway.clock(), "api"))

    of_new_version = http.post(PREDICTIONS, json={"inputs": [{"age": 29.5}]})
    of_no_version = http.post(PREDICTIONS, json={"inputs": [{"age": "old"}]})

    assert (of_new_version.status_code, of_new_version.json["model"]["version"]) == (202, version)
    assert (of_no_version.status_code, of_no_version.json["errors"][0]["pointer"]) == (422, "/inputs/0/age")


def test_a_method_that_only_the_new_version_has_is_accepted_if_the_alias_has_moved(
    gateway: Gateway, http: FlaskClient
) -> None:
    signature = Signature(Layout.FRAME, COLUMNS[:1], (Method.TRANSFORM,), ({"age": 1.0},))
    version = gateway.publish(signature=signature).version
    http.post(PREDICTIONS, json={"inputs": [ROW]})
    gateway.aliases.move("titanic", AliasMove(2, "champion", version, 1, gateway.clock(), "api"))

    answer = http.post(PREDICTIONS, json={"inputs": [{"age": 29.5}], "method": "transform"})

    assert (answer.status_code, answer.json["model"]["version"]) == (202, version)


def test_an_alias_that_was_removed_since_the_last_submit_is_refused(gateway: Gateway, http: FlaskClient) -> None:
    http.post(PREDICTIONS, json={"inputs": [ROW]})
    gateway.aliases.rebuild("titanic", [], 1)

    assert http.post(PREDICTIONS, json={"inputs": [ROW]}).status_code == 404
