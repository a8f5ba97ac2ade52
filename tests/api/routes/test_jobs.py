"""Reading, listing and canceling jobs over HTTP."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from queuecast.domain.job import Progress, State
from tests.api.conftest import ROW, Gateway
from tests.api.job_states import claimed, dead_letter, ended, failed, in_state, lost, submitted


def test_a_running_job_shows_its_worker_attempt_and_progress(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    gateway.jobs.replace(claimed(gateway, job_id).progressed(Progress(2, 6, "stages", "fit", 1033)))

    job = http.get(f"/v1/jobs/{job_id}").json

    assert (job["state"], job["attempt"], job["worker"], job["revision"]) == ("running", 1, "host:7", 3)
    assert job["progress"] == {"done": 2, "total": 6, "unit": "stages", "stage": "fit", "rows": 1033, "errors": None}


def test_a_failed_job_is_returned_with_a_problem_as_its_error(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    failed(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}")
    result = http.get(f"/v1/jobs/{job_id}/result")

    assert (answer.status_code, answer.json["state"]) == (200, "failed")
    assert answer.json["error"]["code"] == "prediction_failed"
    assert answer.json["error"]["detail"] == "predict raised ValueError: no"
    assert (result.status_code, result.json["code"]) == (409, "prediction_failed")


def test_a_result_is_202_before_200_and_does_not_change(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    before = http.get(f"/v1/jobs/{job_id}/result")
    ended(gateway, job_id)

    after = http.get(f"/v1/jobs/{job_id}/result")

    assert (before.status_code, before.headers["Retry-After"]) == (202, "1")
    assert (after.status_code, after.json) == (200, {"predictions": [0]})


def test_a_read_with_a_wait_returns_when_the_job_has_ended(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    ended(gateway, job_id)

    answer = http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"})

    assert (answer.json["state"], answer.headers["Preference-Applied"]) == ("succeeded", "wait=20")


def test_a_queued_job_is_canceled_at_once_and_a_running_one_is_asked_to_stop(
    gateway: Gateway, http: FlaskClient
) -> None:
    queued, running, over = submitted(http), submitted(http), submitted(http)
    claimed(gateway, running)
    ended(gateway, over)

    answers = [http.post(f"/v1/jobs/{job_id}/cancel") for job_id in (queued, queued, running, running, over, "job_x")]

    assert [answer.status_code for answer in answers] == [200, 200, 202, 202, 409, 404]
    assert [answer.json.get("state") for answer in answers[:4]] == ["canceled", "canceled", "canceling", "canceling"]
    assert http.get(f"/v1/jobs/{queued}/result").json["code"] == "canceled"


def test_a_timeline_goes_from_the_acceptance_of_a_job_to_its_end(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    gateway.clock.now += 1
    lost(gateway, job_id)
    gateway.clock.now += 1
    ended(gateway, job_id)

    job = http.get(f"/v1/jobs/{job_id}").json

    assert job["timeline"] == [
        {
            "event": event,
            "at": f"2023-11-14T22:13:2{second}.000Z",
            "attempt": attempt,
            "worker": worker,
            "detail": detail,
        }
        for event, second, attempt, worker, detail in [
            ("accepted", 0, 0, None, ""),
            ("claimed", 1, 1, "host:7", ""),
            ("lost", 1, 1, "host:7", "worker host:7 sent no heartbeat for 30 s"),
            ("retried", 1, 1, None, "after 0.5 s"),
            ("claimed", 2, 2, "host:7", ""),
            ("finished", 2, 2, "host:7", "succeeded"),
        ]
    ]
    assert (job["attempt"], job["lost_attempts"], job["max_attempts"]) == (2, 1, 3)


def test_a_job_that_waits_for_its_next_attempt_shows_when_it_is_due(gateway: Gateway, http: FlaskClient) -> None:
    job_id = submitted(http)
    lost(gateway, job_id)

    job = http.get(f"/v1/jobs/{job_id}").json

    assert (job["state"], job["not_before"], job["worker"]) == ("queued", "2023-11-14T22:13:20.500Z", None)
    assert (job["attempt"], job["lost_attempts"], job["queued_at"]) == (1, 1, "2023-11-14T22:13:20.000Z")


def test_a_dead_letter_is_a_failed_job_with_the_code_of_its_last_failure(gateway: Gateway, http: FlaskClient) -> None:
    job_id = dead_letter(gateway, http)

    job, result = http.get(f"/v1/jobs/{job_id}").json, http.get(f"/v1/jobs/{job_id}/result")

    assert (job["state"], job["error"]["code"], job["attempt"], job["lost_attempts"]) == ("failed", "worker_lost", 3, 3)
    assert (result.status_code, result.json["code"]) == (409, "worker_lost")


# Deleting


@pytest.mark.parametrize("state", State)
def test_only_an_ended_job_can_be_deleted(gateway: Gateway, http: FlaskClient, state: State) -> None:
    job_id = in_state(gateway, http, state)

    answer = http.delete(f"/v1/jobs/{job_id}")

    is_ended = state in (State.CANCELED, State.EXPIRED, State.SUCCEEDED, State.FAILED)
    assert answer.status_code == (204 if is_ended else 409)
    if not is_ended:
        assert (answer.json["code"], state.value in answer.json["detail"]) == ("illegal_move", True)
        assert http.get(f"/v1/jobs/{job_id}").json["state"] == state.value


def test_a_deleted_job_is_gone_from_every_route_and_list(gateway: Gateway, http: FlaskClient) -> None:
    job_id = dead_letter(gateway, http)
    http.delete(f"/v1/jobs/{job_id}")

    answers = [
        http.get(f"/v1/jobs/{job_id}"),
        http.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}),
        http.get(f"/v1/jobs/{job_id}/result"),
        http.post(f"/v1/jobs/{job_id}/cancel"),
        http.post(f"/v1/jobs/{job_id}/retry"),
        http.delete(f"/v1/jobs/{job_id}"),
        http.post(f"/v1/dead-letters/{job_id}/replay"),
    ]

    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(410, "job_gone")] * 7
    assert http.get("/v1/jobs").json["data"] == http.get("/v1/dead-letters").json["data"] == []


def test_deleting_an_unknown_job_is_a_404(http: FlaskClient) -> None:
    answer = http.delete("/v1/jobs/job_x")

    assert (answer.status_code, answer.json["code"]) == (404, "unknown_job")


# Lists


def test_jobs_are_listed_newest_first_in_pages(http: FlaskClient) -> None:
    ids = [submitted(http) for _ in range(5)]

    first = http.get("/v1/jobs?limit=2").json
    cursor = first["next_cursor"]
    second = http.get(f"/v1/jobs?limit=2&cursor={cursor}").json
    last = http.get(f"/v1/jobs?limit=2&cursor={second['next_cursor']}").json

    pages = [[job["id"] for job in page["data"]] for page in (first, second, last)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert last["next_cursor"] is None


def test_jobs_are_filtered(gateway: Gateway, http: FlaskClient) -> None:
    gateway.publish("ship")
    plain, done = submitted(http), submitted(http)
    ended(gateway, done)
    gateway.clock.now += 60
    ship = http.post("/v1/models/ship/predictions", json={"inputs": [ROW]}).json["id"]

    def found(query: str) -> set[str]:
        return {job["id"] for job in http.get(f"/v1/jobs?{query}").json["data"]}

    assert found("state=succeeded") == {done}
    assert found("model=ship") == {ship}
    assert found("type=training") == set()
    assert found("version=1&state=queued") == {plain, ship}
    assert found("created_after=2023-11-14T22:13:50Z") == {ship}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"run": "nightly"}, [2, 1]),
        ({"run": "nightly", "try": 1}, [1]),
        ({"try": 1}, [1]),
        ({"try": True}, [2]),
        ({"tags": ["a", {"b": None}]}, [0]),
        ({"run": None}, []),
        ({"nested": "x"}, []),
        ({}, [2, 1, 0]),
    ],
)
def test_jobs_are_filtered_by_their_metadata(http: FlaskClient, wanted: dict[str, Any], found: list[int]) -> None:
    sent = [
        {"tags": ["a", {"b": None}]},
        {"run": "nightly", "try": 1},
        {"run": "nightly", "try": True},
    ]
    made = [submitted(http, metadata=metadata) for metadata in sent]

    listed = http.get("/v1/jobs", query_string={"metadata": json.dumps(wanted)}).json["data"]

    assert [each["id"] for each in listed] == [made[index] for index in found]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("state=done", "/state"),
        ("type=x", "/type"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=many", "/limit"),
        ("version=x", "/version"),
        ("cursor=..", "/cursor"),
        ("created_after=yesterday", "/created_after"),
        ("colour=red", "/colour"),
        ("a%2Fb=red", "/a~1b"),
        ("state=queued&state=failed", "/state"),
        ("version=01", "/version"),
        ("version=%D9%A3", "/version"),
        ("version=1.0", "/version"),
        ("version=%2B1", "/version"),
        ("limit=%201", "/limit"),
        ("metadata=run", "/metadata"),
        ("metadata=[1]", "/metadata"),
    ],
)
def test_an_invalid_query_is_refused_with_a_pointer(http: FlaskClient, query: str, pointer: str) -> None:
    answer = http.get(f"/v1/jobs?{query}")

    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, pointer)
