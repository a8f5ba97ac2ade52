"""Running a job's work again: by retry, and by replaying a dead letter."""

import json
import threading

import pytest
from flask.testing import FlaskClient

from queuecast.domain.job import State
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import dead_letter, ended, failed, in_state, lost, submitted
from tests.api.routes.test_trainings import HEADER, LINE, TRAININGS, upload

RETRYABLE = (State.FAILED, State.CANCELED, State.EXPIRED)


# Retry


@pytest.mark.parametrize("state", State)
def test_only_a_job_that_ended_without_a_result_can_be_retried(
    gateway: Gateway, http: FlaskClient, state: State
) -> None:
    job_id = in_state(gateway, http, state)

    answer = http.post(f"/v1/jobs/{job_id}/retry")

    assert answer.status_code == (202 if state in RETRYABLE else 409)
    if state not in RETRYABLE:
        assert (answer.json["code"], state.value in answer.json["detail"]) == ("illegal_move", True)
        assert gateway.recorded() == [job_id]


def test_a_retry_is_a_new_job_with_the_same_work_on_the_same_version(gateway: Gateway, http: FlaskClient) -> None:
    body = {"inputs": [ROW], "method": "predict_proba", "metadata": {"run": 7}, "timeout_s": 9, "expires_in_s": 60}
    job_id = http.post(PREDICTIONS, json=body).json["id"]
    failed(gateway, job_id)
    gateway.publish(sha256="1" * 64)
    http.put("/v1/models/titanic/aliases/champion", json={"version": 2}, headers={"If-Match": "*"})

    answer = http.post(f"/v1/jobs/{job_id}/retry")

    job = answer.json
    work, rows = gateway.jobs.read_work(job["id"])
    assert answer.headers["Location"] == job["urls"]["self"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert (job["retry_of"], job["state"], job["attempt"], job["lost_attempts"]) == (job_id, "queued", 0, 0)
    assert (job["model"]["version"], job["metadata"], job["timeout_s"]) == (1, {"run": 7}, 9)
    assert (job["expires_at"], job["timeline"][0]["detail"]) == (None, f"retry of {job_id}")
    assert (work.method, json.loads(rows)) == ("predict_proba", [ROW])
    assert gateway.doorbell.rung[-1] == "prediction/titanic/1/predict_proba"


def test_a_retry_does_not_change_the_original_job(gateway: Gateway, http: FlaskClient) -> None:
    job_id = in_state(gateway, http, State.FAILED)
    before = gateway.jobs.read(job_id)

    http.post(f"/v1/jobs/{job_id}/retry")

    assert gateway.jobs.read(job_id) == before


def test_a_retry_can_be_retried(gateway: Gateway, http: FlaskClient) -> None:
    first = in_state(gateway, http, State.FAILED)
    second = http.post(f"/v1/jobs/{first}/retry").json["id"]
    failed(gateway, second)

    third = http.post(f"/v1/jobs/{second}/retry").json

    assert third["retry_of"] == second


def test_a_retry_of_a_training_is_refused_while_another_runs(http: FlaskClient) -> None:
    request = {"file_id": upload(http, HEADER + LINE), "target": "survived"}
    canceled = http.post(TRAININGS, json=request).json["id"]
    http.post(f"/v1/jobs/{canceled}/cancel")
    http.post(TRAININGS, json=request)

    answer = http.post(f"/v1/jobs/{canceled}/retry")

    assert (answer.status_code, answer.json["code"]) == (409, "conflict")


@pytest.mark.parametrize("path", ["/v1/jobs/job_x/retry", "/v1/dead-letters/job_x/replay"])
def test_an_unknown_job_cannot_be_retried(http: FlaskClient, path: str) -> None:
    answer = http.post(path)

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_job")


# Dead letters


def test_dead_letters_are_listed_newest_first_in_pages(gateway: Gateway, http: FlaskClient) -> None:
    ids = [dead_letter(gateway, http) for _ in range(5)]

    first = http.get("/v1/dead-letters?limit=2").json
    second = http.get(f"/v1/dead-letters?limit=2&cursor={first['next_cursor']}").json
    last = http.get(f"/v1/dead-letters?limit=2&cursor={second['next_cursor']}").json

    pages = [[job["id"] for job in page["data"]] for page in (first, second, last)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert last["next_cursor"] is None


def test_a_job_that_failed_because_of_its_data_is_no_dead_letter(gateway: Gateway, http: FlaskClient) -> None:
    failed(gateway, submitted(http))
    lost(gateway, submitted(http))

    assert http.get("/v1/dead-letters").json == {"data": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("limit=0", "/limit"), ("limit=201", "/limit"), ("cursor=x", "/cursor"), ("cursor=-1", "/cursor"), ("a=b", "/a")],
)
def test_an_invalid_query_is_refused_with_a_pointer(http: FlaskClient, query: str, pointer: str) -> None:
    answer = http.get(f"/v1/dead-letters?{query}")

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)


def test_a_replay_creates_a_job_and_takes_the_dead_letter_off_the_list(gateway: Gateway, http: FlaskClient) -> None:
    letter, other = dead_letter(gateway, http), dead_letter(gateway, http)

    answer = http.post(f"/v1/dead-letters/{letter}/replay")

    assert (answer.status_code, answer.json["retry_of"], answer.json["state"]) == (202, letter, "queued")
    assert [job["id"] for job in http.get("/v1/dead-letters").json["data"]] == [other]
    assert http.get(f"/v1/jobs/{letter}").json["state"] == "failed"


def test_a_dead_letter_is_replayed_only_once(gateway: Gateway, http: FlaskClient) -> None:
    letter = dead_letter(gateway, http)

    answers = [http.post(f"/v1/dead-letters/{letter}/replay") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 409]
    assert (answers[1].json["code"], letter in answers[1].json["detail"]) == ("conflict", True)


def test_of_many_simultaneous_replays_of_a_dead_letter_one_succeeds(gateway: Gateway, http: FlaskClient) -> None:
    letter, app, statuses = dead_letter(gateway, http), gateway.app(), []
    start = threading.Barrier(8)

    def replay() -> None:
        start.wait()
        statuses.append(app.test_client().post(f"/v1/dead-letters/{letter}/replay").status_code)

    threads = [threading.Thread(target=replay) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(statuses) == [202, *[409] * 7]
    assert len(gateway.recorded()) == 2


@pytest.mark.parametrize("state", State)
def test_a_job_that_is_no_dead_letter_cannot_be_replayed(gateway: Gateway, http: FlaskClient, state: State) -> None:
    job_id = in_state(gateway, http, state)

    assert http.post(f"/v1/dead-letters/{job_id}/replay").status_code == 409
    assert gateway.recorded() == [job_id]


def test_a_retried_dead_letter_stays_on_the_list(gateway: Gateway, http: FlaskClient) -> None:
    letter = dead_letter(gateway, http)

    assert http.post(f"/v1/jobs/{letter}/retry").status_code == 202
    assert [job["id"] for job in http.get("/v1/dead-letters").json["data"]] == [letter]


def test_a_replay_that_succeeds_leaves_no_dead_letter(gateway: Gateway, http: FlaskClient) -> None:
    letter = dead_letter(gateway, http)
    again = http.post(f"/v1/dead-letters/{letter}/replay").json["id"]

    ended(gateway, again)

    assert http.get("/v1/dead-letters").json["data"] == []
