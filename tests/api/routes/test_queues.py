"""The lanes, and every limit: `/v1/queues` shows it, and a request that reaches it gets the code that is shown."""

import io
import json
import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.errors import Failure
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.api.job_states import claimed, dead_letter, submitted
from tests.api.routes.test_models import push

LANE = "prediction/titanic/1/predict"
CSV = {"Content-Type": "text/csv"}


def limits(http: FlaskClient) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = http.get("/v1/queues").json["limits"]
    return found


# Lanes


def test_without_jobs_there_are_no_lanes(http: FlaskClient) -> None:
    answer = http.get("/v1/queues").json

    assert (answer["data"], answer["dead_letters"], answer["next_cursor"]) == ([], 0, None)


def test_a_lane_shows_waiting_and_reserved_jobs_and_the_longest_wait(gateway: Gateway, http: FlaskClient) -> None:
    for _ in range(3):
        submitted(http)
    gateway.app()
    gateway.jobs.lanes[LANE][0].worker = "host:7"
    gateway.jobs.lanes[LANE][1].at = gateway.clock() - 12.5

    (lane,) = http.get("/v1/queues").json["data"]

    assert lane == {
        "lane": LANE,
        "type": "prediction",
        "waiting": 2,
        "reserved": 1,
        "oldest_wait_s": 12.5,
        "limit": 10_000,
    }


def test_lanes_are_paged_by_name(gateway: Gateway, http: FlaskClient) -> None:
    for version in range(2, 8):
        gateway.publish()
        submitted(http, version=version)
    push(http)
    names, cursor = [], None
    while True:
        page = http.get("/v1/queues", query_string={"limit": 3} | ({"cursor": cursor} if cursor else {})).json
        names.append([each["lane"] for each in page["data"]])
        assert page["limits"]["lane_jobs"]["used"] == 1
        cursor = page["next_cursor"]
        if cursor is None:
            break

    versions = [f"prediction/titanic/{version}/predict" for version in range(2, 8)]
    assert names == [["import", *versions[:2]], versions[2:5], versions[5:]]


def test_a_page_of_lanes_has_200_at_most(gateway: Gateway, http: FlaskClient) -> None:
    with_lanes = [gateway.jobs.lanes.setdefault(f"chunk/job_{number:03}", []) for number in range(250)]
    first = http.get("/v1/queues").json
    second = http.get("/v1/queues", query_string={"cursor": first["next_cursor"]}).json

    assert (len(first["data"]), len(second["data"]), second["next_cursor"]) == (200, len(with_lanes) - 200, None)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=a&cursor=b", "page=2"])
def test_a_wrong_page_of_lanes_is_refused(http: FlaskClient, query: str) -> None:
    assert http.get(f"/v1/queues?{query}").status_code == 422


def test_a_lane_whose_jobs_are_all_reserved_has_no_longest_wait(gateway: Gateway, http: FlaskClient) -> None:
    submitted(http)
    gateway.jobs.lanes[LANE][0].worker = "host:7"

    (lane,) = http.get("/v1/queues").json["data"]

    assert (lane["waiting"], lane["reserved"], lane["oldest_wait_s"]) == (0, 1, None)


def test_a_slow_clock_does_not_make_a_wait_negative(gateway: Gateway, http: FlaskClient) -> None:
    submitted(http)
    gateway.jobs.lanes[LANE][0].at = gateway.clock() + 3

    assert http.get("/v1/queues").json["data"][0]["oldest_wait_s"] == 0.0


def test_each_version_and_method_has_a_lane_and_trainings_and_imports_have_one_each(
    gateway: Gateway, http: FlaskClient
) -> None:
    gateway.publish()
    http.post(PREDICTIONS, json={"inputs": [ROW], "method": "predict_proba"})
    http.post(PREDICTIONS, json={"inputs": [ROW], "version": 2})
    submitted(http)
    push(http)

    lanes = [(each["lane"], each["type"]) for each in http.get("/v1/queues").json["data"]]

    assert lanes == [
        ("import", "import"),
        (LANE, "prediction"),
        ("prediction/titanic/1/predict_proba", "prediction"),
        ("prediction/titanic/2/predict", "prediction"),
    ]


def test_a_lane_of_a_later_version_is_shown_if_its_type_is_known(gateway: Gateway, http: FlaskClient) -> None:
    """Once the answer was a 500 until the jobs of that lane had ended."""
    submitted(http)
    for lane in ("later_type/x", f"{LANE}/urgent"):
        gateway.jobs.lanes[lane] = gateway.jobs.lanes[LANE]

    answer = http.get("/v1/queues")

    assert answer.status_code == 200
    assert [(lane["lane"], lane["type"]) for lane in answer.json["data"]] == [
        (LANE, "prediction"),
        (f"{LANE}/urgent", "prediction"),
    ]


def test_dead_letters_are_counted(gateway: Gateway, http: FlaskClient) -> None:
    for _ in range(3):
        dead_letter(gateway, http)

    assert http.get("/v1/queues").json["dead_letters"] == 3


# Limits


def test_every_limit_is_shown_with_its_unit_its_use_and_its_error(gateway: Gateway) -> None:
    class JobsWithUsedMemory(MemoryJobs):
        def memory(self) -> tuple[int, int]:
            return 400, 1_000

    gateway.jobs = JobsWithUsedMemory()
    http = gateway.app().test_client()
    submitted(http)
    http.post("/v1/files", data=b"12345", headers=CSV)

    def shown(used: int | None, limit: int, unit: str, error: str) -> dict[str, object]:
        return {"used": used, "limit": limit, "unit": unit, "error": error}

    assert limits(http) == {
        "body": shown(None, 200_000, "bytes", "too_large"),
        "upload": shown(None, 300_000, "bytes", "too_large"),
        "metadata": shown(None, 16_384, "bytes", "invalid_input"),
        "params": shown(None, 16_384, "bytes", "invalid_input"),
        "rows": shown(None, 50, "rows", "invalid_input"),
        "result": shown(None, 1_000_000, "bytes", "result_too_large"),
        "waiters": shown(0, 2, "requests", "too_many_waiters"),
        "files": shown(5, 10_000_000, "bytes", "files_full"),
        "lane_jobs": shown(1, 10_000, "jobs", "lane_full"),
        "redis_memory": shown(400, 800, "bytes", "store_full"),
    }


def test_a_redis_without_a_memory_limit_is_shown_without_one(http: FlaskClient) -> None:
    assert limits(http)["redis_memory"]["limit"] == 0


def full_lane(gateway: Gateway) -> TestResponse:
    http = gateway.limited(max_lane_jobs=2).test_client()
    submitted(http)
    claimed(gateway, submitted(http))  # a running job stays in its lane until it ends
    return http.post(PREDICTIONS, json={"inputs": [ROW]})


def full_store(gateway: Gateway) -> TestResponse:
    class JobsWithFullMemory(MemoryJobs):
        def memory(self) -> tuple[int, int]:
            return 801, 1_000

    gateway.jobs = JobsWithFullMemory()
    return gateway.app().test_client().post(PREDICTIONS, json={"inputs": [ROW]})


def full_files(gateway: Gateway) -> TestResponse:
    http = gateway.limited(max_files_bytes=10).test_client()
    http.post("/v1/files", data=b"1234567890", headers=CSV)
    return http.post("/v1/files", data=b"1", headers=CSV)


def large_body(gateway: Gateway) -> TestResponse:
    http = gateway.limited(max_body_bytes=1024).test_client()
    return http.post(PREDICTIONS, json={"inputs": [ROW], "metadata": {"a": "x" * 1024}})


def large_upload(gateway: Gateway) -> TestResponse:
    return gateway.limited(max_upload_bytes=10).test_client().post("/v1/files", data=b"x" * 11, headers=CSV)


def many_rows(gateway: Gateway) -> TestResponse:
    return gateway.limited(max_rows=2).test_client().post(PREDICTIONS, json={"inputs": [ROW] * 3})


def large_metadata(gateway: Gateway) -> TestResponse:
    return gateway.app().test_client().post(PREDICTIONS, json={"inputs": [ROW], "metadata": {"a": "x" * 16_384}})


def large_params(gateway: Gateway) -> TestResponse:
    body = {"file_id": "file_1", "target": "y", "params": {"a": "x" * 16_384}}
    return gateway.app().test_client().post("/v1/models/titanic/trainings", json=body)


def many_waiters(gateway: Gateway) -> TestResponse:
    app = gateway.limited(max_waiters=1)
    job_id = submitted(app.test_client())
    wait = {"Prefer": "wait=20"}

    def park() -> None:
        while app.test_client().get(f"/v1/jobs/{job_id}", headers=wait).status_code == 503:
            pass  # the read below was first

    thread = threading.Thread(target=park)
    thread.start()
    pause, answer = threading.Event(), None
    for _ in range(2_000):
        answer = app.test_client().get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=0"})
        if answer.status_code != 200:
            break
        pause.wait(0.01)
    app.test_client().post(f"/v1/jobs/{job_id}/cancel")
    thread.join(30)
    assert answer is not None
    return answer


def large_result(gateway: Gateway) -> TestResponse:
    """The worker finds it (tests/worker/engine/test_consumer.py), and the gateway returns it."""
    http = gateway.app().test_client()
    job_id = submitted(http)
    failure = Failure("result_too_large", "the result has 9 bytes, expected at most 8")
    gateway.jobs.replace(claimed(gateway, job_id).failed(failure, gateway.clock(), 60))
    return http.get(f"/v1/jobs/{job_id}/result")


REACHED = {
    "body": (large_body, 413),
    "upload": (large_upload, 413),
    "metadata": (large_metadata, 422),
    "params": (large_params, 422),
    "rows": (many_rows, 422),
    "result": (large_result, 409),
    "waiters": (many_waiters, 503),
    "files": (full_files, 503),
    "lane_jobs": (full_lane, 503),
    "redis_memory": (full_store, 503),
}


def test_every_limit_is_tested_here(http: FlaskClient) -> None:
    assert set(REACHED) == set(limits(http))


@pytest.mark.parametrize("name", REACHED)
def test_a_reached_limit_returns_the_code_that_queues_shows_for_it(
    gateway: Gateway, http: FlaskClient, name: str
) -> None:
    reach, status = REACHED[name]
    expected = limits(http)[name]["error"]

    answer = reach(gateway)

    assert (answer.status_code, answer.json["code"]) == (status, expected)
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_a_full_lane_says_how_many_jobs_it_has_and_leaves_other_lanes_open(gateway: Gateway) -> None:
    answer = full_lane(gateway)

    other = gateway.app().test_client().post(PREDICTIONS, json={"inputs": [ROW], "method": "predict_proba"})
    assert answer.json["detail"] == f"2 jobs wait in lane {LANE}, expected fewer than 2"
    assert (other.status_code, len(gateway.recorded())) == (202, 3)


def test_a_lane_accepts_jobs_up_to_its_limit(gateway: Gateway) -> None:
    http = gateway.limited(max_lane_jobs=3).test_client()

    statuses = [http.post(PREDICTIONS, json={"inputs": [ROW]}).status_code for _ in range(4)]

    assert statuses == [202, 202, 202, 503]


def test_a_full_lane_refuses_retries_and_replays_and_keeps_the_dead_letter(gateway: Gateway) -> None:
    http = gateway.limited(max_lane_jobs=1).test_client()
    letter = dead_letter(gateway, http)
    submitted(http)

    answers = [http.post(path) for path in (f"/v1/jobs/{letter}/retry", f"/v1/dead-letters/{letter}/replay")]

    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [(503, "lane_full")] * 2
    assert [job["id"] for job in http.get("/v1/dead-letters").json["data"]] == [letter]


@pytest.mark.parametrize(
    ("used", "most", "status"), [(799, 1000, 202), (800, 1000, 202), (801, 1000, 503), (5, 0, 202)]
)
def test_jobs_are_accepted_while_redis_has_a_fifth_of_its_memory_left(
    gateway: Gateway, used: int, most: int, status: int
) -> None:
    class JobsWithUsedMemory(MemoryJobs):
        def memory(self) -> tuple[int, int]:
            return used, most

    gateway.jobs = JobsWithUsedMemory()

    answer = gateway.app().test_client().post(PREDICTIONS, json={"inputs": [ROW]})

    assert (answer.status_code, len(gateway.recorded())) == (status, 1 if status == 202 else 0)


def test_a_full_store_reports_its_memory(gateway: Gateway) -> None:
    assert full_store(gateway).json["detail"] == "Redis uses 801 of 1000 bytes; new jobs are accepted below 80%"


@pytest.mark.parametrize("way", ["raw", "form", "push"])
def test_a_full_file_store_refuses_every_kind_of_upload(gateway: Gateway, way: str) -> None:
    http = gateway.limited(max_files_bytes=10).test_client()
    http.post("/v1/files", data=b"1234567890", headers=CSV)
    before = gateway.stored_files()

    if way == "raw":
        answer = http.post("/v1/files", data=b"1", headers=CSV)
    elif way == "form":
        answer = http.post("/v1/files", data={"file": (io.BytesIO(b"1"), "t.csv", "text/csv")})
    else:
        answer = push(http)

    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (503, "files_full", "1")
    assert answer.json["detail"] == "the uploaded files have 10 bytes, expected fewer than 10"
    assert (gateway.stored_files(), gateway.recorded()) == (before, [])


def test_a_deleted_file_makes_room(gateway: Gateway) -> None:
    http = gateway.limited(max_files_bytes=10).test_client()
    first = http.post("/v1/files", data=b"1234567890", headers=CSV).json["id"]
    http.delete(f"/v1/files/{first}")

    assert http.post("/v1/files", data=b"1", headers=CSV).status_code == 201


def test_every_status_of_a_full_store_is_in_the_openapi_document(tmp_path: Path) -> None:
    """The 503 of a full file store was once missing for uploads."""
    spec = json.loads(Gateway(tmp_path).app().test_client().get("/openapi.json").data)

    paths = [PREDICTIONS.replace("titanic", "{model}"), "/v1/files", "/v1/models/{model}/versions"]
    assert all("503" in spec["paths"][path]["post"]["responses"] for path in paths)
