"""Following a job from Python: one connection after the other, no event twice."""

import json
from typing import Any

import pytest

from queuecast import Client
from queuecast.client import ApiError, events
from tests.queuecast.scripted_gateway import Answer, ScriptedGateway, job, problem

JOB = "GET /v1/jobs/job_1"
EVENTS = f"{JOB}/events"
STREAM = {"Content-Type": "text/event-stream"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "RECONNECT_S", 0.0)


def event(name: str, body: dict[str, Any], revision: int | None = None) -> bytes:
    of_revision = "" if revision is None else f"id: {revision}\n"
    return f"event: {name}\n{of_revision}data: {json.dumps(body)}\n\n".encode()


def stream(*chunks: bytes, **headers: str) -> Answer:
    return Answer(b"retry: 1000\n\n" + b":\n\n".join(chunks), headers={**STREAM, **headers})


RUNNING = event("status", job("running", revision=2), 2)
COMPLETED = event("completed", job("succeeded", revision=5), 5)


def test_events_come_with_their_jobs_up_to_the_end(client: Client, gateway: ScriptedGateway) -> None:
    fitting = job("running", revision=3, progress={"done": 2, "total": 8})
    gateway.on(JOB, job())
    gateway.on(EVENTS, stream(RUNNING, event("progress", fitting, 3), COMPLETED))
    handle = client.job("job_1")

    seen = [(name, body["revision"], handle.state) for name, body in handle.events()]

    assert seen == [("status", 2, "running"), ("progress", 3, "running"), ("completed", 5, "succeeded")]
    assert handle.is_final


@pytest.mark.parametrize(
    "broken",
    [
        stream(RUNNING),
        stream(RUNNING, **{"Content-Length": "9999"}),
        stream(RUNNING, event("error", {"title": "Not available now", "status": 503, "code": "unavailable"})),
        stream(RUNNING, event("problem", {"title": "Not available now", "status": 503, "code": "unavailable"})),
    ],
    ids=["closed", "cut", "redis away, from an earlier gateway", "redis away"],
)
def test_a_broken_stream_is_resumed(client: Client, gateway: ScriptedGateway, broken: Answer) -> None:
    gateway.on(JOB, job())
    gateway.on(EVENTS, broken, Answer(breaks=True), stream(COMPLETED))

    seen = [name for name, _ in client.job("job_1").events()]

    assert seen == ["status", "completed"]
    assert [request.headers.get("last-event-id") for request in gateway.requests_to(EVENTS)] == [None, "2", "2"]


def test_a_stream_without_further_events_ends(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job())
    gateway.on(EVENTS, stream(RUNNING), Answer(b"", status=204))

    assert [name for name, _ in client.job("job_1").events()] == ["status"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (stream(event("problem", {"title": "The job is gone", "status": 410, "code": "job_gone"})), 410),
        (stream(event("error", {"title": "The job is gone", "status": 410, "code": "job_gone"})), 410),
        (problem(404, "No such job"), 404),
        (problem(503, "Too many requests are waiting", code="too_many_waiters"), 503),
        (Answer({"hello": "stranger"}), 200),
    ],
    ids=["deleted", "deleted, from an earlier gateway", "unknown", "too many", "a stranger"],
)
def test_a_permanent_error_is_raised(client: Client, gateway: ScriptedGateway, answer: Answer, status: int) -> None:
    gateway.on(JOB, job())
    gateway.on(EVENTS, answer)

    with pytest.raises(ApiError) as refused:
        list(client.job("job_1").events())

    assert refused.value.status == status
    assert len(gateway.requests_to(EVENTS)) == 1


def test_a_wait_with_on_change_waits_for_any_change(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), job("running", revision=2), Answer(b"", status=304), job("succeeded", revision=3))
    states: list[str] = []

    client.job("job_1").wait(on_change=lambda changed: states.append(changed.state))

    assert states == ["queued", "running", "succeeded"]
    assert [request.headers.get("if-none-match") for request in gateway.requests] == [None, 'W/"1"', 'W/"2"', 'W/"2"']
    assert {request.headers.get("prefer") for request in gateway.requests[1:]} == {"wait=30"}


def test_a_wait_without_on_change_waits_for_the_end(client: Client, gateway: ScriptedGateway) -> None:
    gateway.on(JOB, job(), job("succeeded", revision=2))

    client.job("job_1").wait()

    assert "if-none-match" not in gateway.requests[-1].headers
