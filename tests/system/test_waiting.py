"""Hundreds who wait, on the real server: what they cost others, who is turned away, and who has gone away."""

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
THREADS = 32  # three quarters of these are WAITERS


@pytest.fixture(scope="module")
def parking(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """A gateway without workers: its jobs wait for as long as a test wants. Its model was published by hand."""
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


def asked(stack: Stack, path: str, **headers: str) -> socket.socket:
    """A request whose answer is read later, or never."""
    sent = socket.create_connection(("127.0.0.1", stack.api_port), timeout=60)
    lines = [f"GET {path} HTTP/1.1", "Host: gateway", *(f"{name}: {value}" for name, value in headers.items())]
    sent.sendall("\r\n".join([*lines, "", ""]).encode())
    return sent


def is_full(stack: Stack) -> bool:
    """Asked without waiting: whoever waits to find out takes the last place from the one it is meant for."""
    waiters = httpx2.get(f"{stack.url}/v1/queues", timeout=30).json()["limits"]["waiters"]
    return bool(waiters["used"] == waiters["limit"])


def test_when_all_places_are_taken_others_are_answered_and_one_more_is_turned_away(parking: Stack) -> None:
    job_id = submit(parking)
    waits = [asked(parking, f"/v1/jobs/{job_id}", Prefer="wait=30") for _ in range(WAITERS // 2)]
    streams = [asked(parking, f"/v1/jobs/{job_id}/events") for _ in range(WAITERS // 2)]
    wait_for(lambda: is_full(parking), "a full house")

    refused = httpx2.get(f"{parking.url}/v1/jobs/{job_id}/events", timeout=30)
    others = [httpx2.get(f"{parking.url}{path}", timeout=30) for path in ("/livez", f"/v1/jobs/{job_id}")]
    httpx2.post(f"{parking.url}/v1/jobs/{job_id}/cancel", timeout=30)
    answers = [parked.recv(65536) for parked in waits]
    for parked in (*waits, *streams):
        parked.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_waiters")
    assert refused.headers["Retry-After"] == "1"
    assert [answer.status_code for answer in others] == [200, 200]
    assert all(b'"state":"canceled"' in answer for answer in answers)


def test_a_stream_tells_what_happens_while_it_is_open(parking: Stack) -> None:
    job_id = submit(parking)
    with httpx2.stream("GET", f"{parking.url}/v1/jobs/{job_id}/events", timeout=30) as answer:
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        httpx2.post(f"{parking.url}/v1/jobs/{job_id}/cancel", timeout=30)
        rest = list(lines)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    queued = json.loads(first.removeprefix("data: "))
    assert (queued["state"], queued["queue"]["position"]) == ("queued", 1)
    assert [line for line in rest if line.startswith(("event", "id"))] == ["event: completed", "id: 2"]


def test_clients_that_have_gone_away_give_their_places_back(parking: Stack) -> None:
    job_id = submit(parking)
    gone = [asked(parking, f"/v1/jobs/{job_id}/events") for _ in range(WAITERS)]
    wait_for(lambda: is_full(parking), "a full house")
    for stream in gone:
        stream.close()

    # A comment every 5 to 10 s finds that nobody is there, or the one after it.
    held: list[socket.socket] = []

    def holds_one_more() -> bool:
        stream = asked(parking, f"/v1/jobs/{job_id}/events")
        if b" 200 " in stream.recv(1024):
            held.append(stream)
        else:
            stream.close()
        return len(held) == WAITERS

    wait_for(holds_one_more, "as many places as before", 30)
    httpx2.post(f"{parking.url}/v1/jobs/{job_id}/cancel", timeout=30)
    for stream in held:
        stream.close()

    assert len(held) == WAITERS


def test_the_place_in_the_queue_is_told_by_the_lane_in_redis(parking: Stack) -> None:
    ids = [submit(parking) for _ in range(3)]
    with connect(parking.redis.url) as client:
        lane = RedisJobs(client).read(ids[0]).lane
        before = RedisLanes(client).position(lane, ids[0]).position
        assert before is not None
        places = [httpx2.get(f"{parking.url}/v1/jobs/{job_id}", timeout=30).json()["queue"] for job_id in ids]

    assert [place["position"] for place in places] == [before, before + 1, before + 2]


def test_a_gateway_is_not_kept_from_stopping_by_an_open_stream(
    tmp_path: Path, repository: Path, parking: Stack
) -> None:
    """With the option that bounds the time of a stop in deploy/serve_api.sh, and less time."""
    assert "--workers-kill-timeout 15" in (repository / "deploy/serve_api.sh").read_text()
    stopping = Stack(tmp_path, repository)
    stopping.redis = parking.redis
    stopping.start("api", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(stopping.api_port),
        "--blocking-threads", "8", "--workers-kill-timeout", "1", "--factory", "api.serve:gateway")  # fmt: skip
    try:
        wait_for(stopping.answers, "the gateway", 60)
        with closing(asked(stopping, f"/v1/jobs/{submit(parking)}/events")) as stream:
            stream.recv(1024)
            started = time.monotonic()
            stopping.stop("api")
            took_s = time.monotonic() - started
    finally:
        stopping.stop()

    assert took_s < 10
