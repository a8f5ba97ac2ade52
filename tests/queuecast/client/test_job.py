"""A job from its submission to its result: waiting, canceling, retrying, replaying."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from queuecast.client import ApiError, Client, JobFailed
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

PREDICT = "POST /v1/models/titanic/predictions"
JOB = "GET /v1/jobs/job_1"
RESULT = {"method": "predict", "predictions": [1]}


def test_predict_sends_rows_method_version_and_metadata(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))

    handle = client.predict("titanic", [{"age": np.nan}], method="predict_proba", version=2, metadata={"run": 7})

    request = gateway.only_request(PREDICT)
    assert request.json == {
        "inputs": [{"age": None}],
        "method": "predict_proba",
        "version": 2,
        "metadata": {"run": 7},
    }
    assert request.headers["content-type"] == "application/json"
    assert "prefer" not in request.headers
    assert (handle.id, handle.state) == ("job_1", "queued")


def test_a_job_is_shown_with_its_state_and_in_a_notebook_as_a_row(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running", type="<b>"))

    handle = client.job("job_1")

    assert repr(handle) == "<JobHandle job_1 running>"
    row = "<td>job_1</td><td>&lt;b&gt;</td><td>titanic version 3</td><td>running</td>"
    assert handle._repr_html_() == f"<table><tr>{row}</tr></table>"


def test_a_result_within_the_wait_takes_one_request(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, job("succeeded", result=RESULT))

    assert client.predict("titanic", [[1]], wait_s=90).result() == RESULT
    assert [request.headers["prefer"] for request in gateway.requests] == ["wait=30"]


def test_a_wait_of_less_than_a_second_is_a_wait(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, job("succeeded", result=RESULT))

    client.predict("titanic", [[1]], wait_s=0.5)

    assert [request.headers["prefer"] for request in gateway.requests] == ["wait=0.5"]


def test_a_wait_sends_one_long_poll_at_a_time(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(PREDICT, Answer(job(), 202))
    gateway.on(JOB, job("running", revision=2), job("succeeded", revision=3, result=RESULT))

    assert client.predict("titanic", [[1]]).result() == RESULT
    assert [request.headers["prefer"] for request in gateway.requests_to(JOB)] == ["wait=30", "wait=30"]


def test_on_change_is_called_once_per_change(client: Client, gateway: ScriptedGateway) -> None:
    fitting = job("running", revision=2, progress={"done": 2, "total": 7, "unit": "stages"})
    gateway.on(JOB, job(), fitting, job("succeeded", revision=3, result=RESULT))
    seen = []

    client.job("job_1").wait(on_change=lambda changed: seen.append((changed.state, changed.body["progress"])))

    assert seen == [("queued", None), ("running", fitting["progress"]), ("succeeded", None)]


def test_a_gateway_that_answers_at_once_is_not_polled_in_a_busy_loop(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job())

    with pytest.raises(TimeoutError, match=r"job_1 is still queued after 0\.3 s"):
        client.job("job_1").wait(timeout_s=0.3)

    assert len(gateway.requests) <= 6


def test_a_wait_of_zero_seconds_polls_once(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result(timeout_s=0) == RESULT


def test_a_wait_polls_without_long_polls_if_too_many_wait(client: Client, gateway: ScriptedGateway) -> None:
    full = problem(503, "Too many requests are waiting", code="too_many_waiters")
    full.headers["Retry-After"] = "1"
    gateway.on(JOB, job(), full, job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result() == RESULT
    assert [request.headers.get("prefer") for request in gateway.requests] == [None, "wait=30", None]


def test_a_wait_survives_a_restart_of_the_gateway(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), Answer(breaks=True), Answer(breaks=True), job("succeeded", revision=2, result=RESULT))

    assert client.job("job_1").result() == RESULT


def test_a_result_that_is_not_in_the_body_is_fetched(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("succeeded"))
    gateway.on(f"{JOB}/result", RESULT)

    assert client.job("job_1").result() == RESULT


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (job("canceled"), "job_1 canceled"),
        (job("expired"), "job_1 expired"),
        (
            job("failed", error={"title": "The job failed", "code": "run_failed", "detail": "fit raised"}),
            "job_1 failed: fit raised",
        ),
    ],
    ids=["canceled", "expired", "failed"],
)
def test_a_job_without_a_result_raises_with_its_problem(
    client: Client, gateway: ScriptedGateway, body: dict[str, Any], words: str
) -> None:
    gateway.on(JOB, body)

    with pytest.raises(JobFailed) as failed:
        client.job("job_1").result()

    assert str(failed.value) == words
    assert failed.value.problem["code"] in (body["state"], "run_failed")


def test_cancel_returns_the_new_state(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running"))
    gateway.on("POST /v1/jobs/job_1/cancel", Answer(job("canceling", revision=2), 202))

    assert client.job("job_1").cancel().state == "canceling"


def test_a_retry_is_a_new_job(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed"))
    gateway.on("POST /v1/jobs/job_1/retry", Answer(job(id="job_2", retry_of="job_1"), 202))
    first = client.job("job_1")

    again = first.retry()

    assert (first.id, first.state, again.id, again.body["retry_of"]) == ("job_1", "failed", "job_2", "job_1")


def test_a_succeeded_job_is_not_retried(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("succeeded"))
    gateway.on("POST /v1/jobs/job_1/retry", problem(409, "The job's state does not allow this", code="illegal_move"))

    with pytest.raises(ApiError, match="409 The job's state does not allow this"):
        client.job("job_1").retry()


def test_a_job_has_a_timeline(client: Client, gateway: ScriptedGateway) -> None:
    moment = {"event": "accepted", "at": "2026-01-31T12:00:00.000Z", "attempt": 0, "worker": None, "detail": ""}
    gateway.on(JOB, job(timeline=[moment]), job())

    assert client.job("job_1").timeline == [moment]
    assert client.job("job_1").timeline == []  # of a gateway that keeps none


def test_dead_letters_are_read_page_by_page_and_can_be_replayed(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(
        "GET /v1/dead-letters",
        {"data": [job("failed", id="job_3"), job("failed", id="job_2")], "next_cursor": "2"},
        {"data": [job("failed", id="job_1")], "next_cursor": None},
    )
    gateway.on("POST /v1/dead-letters/job_3/replay", Answer(job(id="job_4", retry_of="job_3"), 202))

    letters = list(client.dead_letters())
    again = client.replay(letters[0].id)

    assert [letter.id for letter in letters] == ["job_3", "job_2", "job_1"]
    assert gateway.requests_to("GET /v1/dead-letters")[1].query["cursor"] == "2"
    assert (again.id, again.body["retry_of"]) == ("job_4", "job_3")


def test_queues_returns_the_gateways_document(client: Client, gateway: ScriptedGateway) -> None:
    found = {"data": [], "limits": {}, "dead_letters": 0, "next_cursor": None}
    gateway.on("GET /v1/queues", found)

    assert client.queues() == found


def test_queues_returns_the_lanes_of_all_pages(client: Client, gateway: ScriptedGateway) -> None:
    rest = {"limits": {}, "dead_letters": 0}
    gateway.on(
        "GET /v1/queues",
        {"data": [{"lane": "a"}], "next_cursor": "a"} | rest,
        {"data": [{"lane": "b"}], "next_cursor": "b"} | rest,
        {"data": [{"lane": "c"}], "next_cursor": None} | rest,
    )

    found = client.queues()

    assert found == {"data": [{"lane": "a"}, {"lane": "b"}, {"lane": "c"}], "next_cursor": None} | rest
    assert [request.query for request in gateway.requests] == [{}, {"cursor": "a"}, {"cursor": "b"}]


# Reports

REPORT = "GET /v1/jobs/job_1/report"


def test_a_report_is_read_once_the_training_has_ended(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("running", type="training"), job("succeeded", type="training", revision=2, result={}))
    gateway.on(REPORT, {"headline": "Version 2 is better."})

    assert client.job("job_1").report() == {"headline": "Version 2 is better."}
    assert gateway.only_request(REPORT).headers["accept"] == "application/json"


def test_the_page_of_a_report_is_text(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("succeeded", type="training", result={}))
    gateway.on(REPORT, Answer("<!doctype html>"))

    assert "<!doctype html>" in client.job("job_1").report_html()
    assert gateway.only_request(REPORT).headers["accept"] == "text/html"


@pytest.mark.parametrize(
    ("name", "accept"), [("report.html", "text/html"), ("report", "text/html"), ("report.JSON", "application/json")]
)
def test_the_name_of_the_file_chooses_the_form(
    client: Client, gateway: ScriptedGateway, tmp_path: Path, name: str, accept: str
) -> None:
    gateway.on(JOB, job("succeeded", type="training", result={}))
    gateway.on(REPORT, {"headline": "Version 2 is better."})

    path = client.job("job_1").save_report(tmp_path / name)

    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b'{"headline": "Version 2 is better."}'
    assert gateway.only_request(REPORT).headers["accept"] == accept


def test_a_failed_training_has_no_report(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job("failed", type="training", error={"title": "The job failed", "code": "fit_failed"}))

    with pytest.raises(JobFailed):
        client.job("job_1").report()


@pytest.mark.parametrize("outcomes", [[1, 0], (1, 0), np.array([1, 0]), [np.int64(1), np.int64(0)]])
def test_outcomes_are_sent_as_plain_values(client: Client, gateway: ScriptedGateway, outcomes: Any) -> None:
    gateway.on(JOB, job("succeeded", revision=2, result=RESULT))
    gateway.on("POST /v1/jobs/job_1/outcomes", {"rows": 2})

    assert client.job("job_1").add_outcomes(outcomes) == {"rows": 2}
    assert gateway.only_request("POST /v1/jobs/job_1/outcomes").json == {"outcomes": [1, 0]}
