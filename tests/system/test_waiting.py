"""Many waiting clients on the real server: it still answers other requests, limits the waiters, and frees places."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from tests.api.conftest import PREDICTIONS, ROW, Gateway
from tests.system.conftest import Stack, wait_for

pytestmark = [pytest.mark.redis, pytest.mark.xdist_group("waiting")]
WAITERS = 24
THREADS = 32  # WAITERS may use three quarters of them


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """A gateway without workers, so that jobs stay queued. The fixture publishes its model directly."""
    running = Stack(tmp_path_factory.mktemp("waiting"), repository)
    running.redis.start()
    try:
        running.start_api(api_threads=THREADS)
        publish(running)
        yield running
    finally:
        running.stop()
        running.redis.stop()


def publish(stack: Stack) -> None:
    from queuecast.adapters.redis.aliases import RedisAliases  # noqa: PLC0415

    with connect(stack.redis.url) as client:
        gateway = Gateway(stack.folder / "data")
        gateway.aliases = RedisAliases(client)  # type: ignore[assignment]
        gateway.publish()


def submit(stack: Stack) -> str:
    job_id: str = httpx2.post(f"{stack.url}{PREDICTIONS}", json={"inputs": [ROW]}, timeout=30).json()["id"]
    return job_id


def send_request(stack: Stack, path: str, **headers: str) -> socket.socket:
    """Sends a request; the caller reads the answer later, or never."""
    sent = socket.create_connection(("127.0.0.1", stack.api_port), timeout=60)
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    sent.sendall("\r\n".join([*lines, "", ""]).encode())
    return sent


def is_full(stack: Stack) -> bool:
    """Reads the number of waiters without waiting itself: a waiting probe would take the last free place."""
    waiters = httpx2.get(f"{stack.url}/v1/queues", timeout=30).json()["limits"]["waiters"]
    return bool(waiters["used"] == waiters["limit"])


def test_when_all_places_are_taken_one_more_waiter_is_refused_and_other_requests_are_answered(
    stack: Stack,
) -> None:
    job_id = submit(stack)
    waits = [send_request(stack, f"/v1/jobs/{job_id}", Prefer="wait=30") for _ in range(WAITERS // 2)]
    streams = [send_request(stack, f"/v1/jobs/{job_id}/events") for _ in range(WAITERS // 2)]
    wait_for(lambda: is_full(stack), "all places taken")

    refused = httpx2.get(f"{stack.url}/v1/jobs/{job_id}/events", timeout=30)
    other_answers = [httpx2.get(f"{stack.url}{path}", timeout=30) for path in ("/livez", f"/v1/jobs/{job_id}")]
    httpx2.post(f"{stack.url}/v1/jobs/{job_id}/cancel", timeout=30)
    answers = [waiting.recv(65536) for waiting in waits]
    for waiting in (*waits, *streams):
        waiting.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiters")
    assert refused.headers["Retry-After"] == "1"
    assert [answer.status_code for answer in other_answers] == [200, 200]
    assert all(b'"state":"canceled"' in answer for answer in answers)


def test_an_open_stream_reports_the_changes_of_a_job(stack: Stack) -> None:
    job_id = submit(stack)
    with httpx2.stream("GET", f"{stack.url}/v1/jobs/{job_id}/events", timeout=30) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        httpx2.post(f"{stack.url}/v1/jobs/{job_id}/cancel", timeout=30)
        rest = list(lines)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    queued = json.loads(first.removeprefix("data: "))
    assert (queued["state"], queued["queue"]["position"]) == ("queued", 1)
    assert [line for line in rest if line.startswith(("event", "id"))] == ["event: completed", "id: 2"]


def test_disconnected_clients_free_their_places(stack: Stack) -> None:
    job_id = submit(stack)
    gone = [send_request(stack, f"/v1/jobs/{job_id}/events") for _ in range(WAITERS)]
    wait_for(lambda: is_full(stack), "all places taken")
    for stream in gone:
        stream.close()

    # The gateway notices a closed stream at its next comment, every 5 to 10 s, or at the one after that.
    held: list[socket.socket] = []

    def holds_one_more() -> bool:
        stream = send_request(stack, f"/v1/jobs/{job_id}/events")
        if b" 200 " in stream.recv(1024):
            held.append(stream)
        else:
            stream.close()
        return len(held) == WAITERS

    wait_for(holds_one_more, "as many places as before", 30)
    httpx2.post(f"{stack.url}/v1/jobs/{job_id}/cancel", timeout=30)
    for stream in held:
        stream.close()

    assert len(held) == WAITERS


def test_the_position_in_the_queue_comes_from_the_lane_in_redis(stack: Stack) -> None:
    ids = [submit(stack) for _ in range(3)]
    with connect(stack.redis.url) as client:
        lane = RedisJobs(client).read(ids[0]).lane
        before = RedisLanes(client).position(lane, ids[0]).position
        assert before is not None
        places = [httpx2.get(f"{stack.url}/v1/jobs/{job_id}", timeout=30).json()["queue"] for job_id in ids]

    assert [place["position"] for place in places] == [before, before + 1, before + 2]


def test_an_open_stream_does_not_keep_a_gateway_from_stopping(tmp_path: Path, repository: Path, stack: Stack) -> None:
    """With the option of deploy/serve_api.sh that limits the time to stop, set to a shorter time."""
    assert "--workers-kill-timeout 15" in (repository / "deploy/serve_api.sh").read_text()
    stopping = Stack(tmp_path, repository)
    stopping.redis = stack.redis
    stopping.start("api", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(stopping.api_port),
        "--blocking-threads", "8", "--workers-kill-timeout", "1", "--factory", "api.serve:gateway")  # fmt: skip
    try:
        wait_for(stopping.is_live, "the gateway", 60)
        with closing(send_request(stopping, f"/v1/jobs/{submit(stack)}/events")) as stream:
            stream.recv(1024)
            started = time.monotonic()
            stopping.stop("api")
            took_s = time.monotonic() - started
    finally:
        stopping.stop()

    assert took_s < 10
