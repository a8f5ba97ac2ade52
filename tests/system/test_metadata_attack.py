"""Large metadata cannot fill Redis or the gateway: it is refused, and lists read about as much as they return."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import redis

from queuecast import Client
from tests.redis_servers import redis_server_in
from tests.system.conftest import START_WAIT_S, Stack, wait_for

pytestmark = [
    pytest.mark.redis,
    pytest.mark.xdist_group("metadata"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
PREDICTIONS = "/v1/models/titanic/predictions"
REDIS_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Stack]:
    """A gateway, a worker and a small Redis, with the Titanic model."""
    running = Stack(tmp_path_factory.mktemp("metadata"), repository)
    running.redis = redis_server_in(running.folder / "small", maxmemory_bytes=REDIS_BYTES)
    running.redis.start()
    try:
        running.start_api()
        running.start_worker("worker")
        running.start_worker("trainer", "train")
        wait_for(lambda: running.workers() == {"predict": 1, "train": 1}, "a worker and a trainer", START_WAIT_S)
        running.push_titanic()
        yield running
    finally:
        running.stop()
        running.redis.stop()


def gateway_peak_bytes(stack: Stack) -> int:
    """The most that a process of the gateway has had in memory so far."""
    parent = stack.processes["api"].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    peaks = [
        int(line.split()[1]) * 1024
        for pid in (parent, *children)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return max(peaks)


def redis_bytes(stack: Stack) -> int:
    with redis.Redis.from_url(stack.redis.url) as store:
        return int(store.info("memory")["used_memory_peak"])


def sent(stack: Stack, body: bytes) -> httpx2.Response:
    headers = {"Content-Type": "application/json"}
    return httpx2.post(stack.url + PREDICTIONS, content=body, headers=headers, timeout=60)


def with_metadata(stack: Stack, metadata: str) -> bytes:
    with Client(stack.url) as client:
        rows = client.schema("titanic")["examples"][:1]
    return json.dumps({"inputs": rows, "metadata": "@"}).replace('"@"', metadata).encode()


def test_the_attack_leaves_the_memory_of_gateway_and_redis_flat(attacked: Stack) -> None:
    """Before there was a limit, Redis ran out of memory and the gateway grew from 102 to 1,116 MB."""
    huge = with_metadata(attacked, '{"a": "' + "x" * (8 * 2**20 - 2000) + '"}')
    many_objects = with_metadata(attacked, '{"a": [' + "{}," * 2_700_000 + "{}]}")
    # As much as is accepted, in the form that takes most memory once it is decoded.
    largest = with_metadata(attacked, '{"a": [' + "[]," * 5_400 + "[]]}")
    assert sent(attacked, largest).status_code == 202
    gateway, store = gateway_peak_bytes(attacked), redis_bytes(attacked)

    refused = [sent(attacked, body) for body in [huge, many_objects] * 6]
    with ThreadPoolExecutor(8) as threads:
        accepted = list(threads.map(lambda body: sent(attacked, body), [largest] * 200))
        urls = [f"{attacked.url}/v1/jobs?limit={limit}" for limit in (13, 200)] * 40
        lists = list(threads.map(lambda url: httpx2.get(url, timeout=60), urls))

    found = {(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in refused}
    assert found == {(422, "/metadata")}
    assert {answer.status_code for answer in accepted} == {202}
    assert {answer.status_code for answer in lists} == {200}
    assert max(len(answer.content) for answer in lists) < 2**20
    assert gateway_peak_bytes(attacked) - gateway < 64 * 2**20
    assert redis_bytes(attacked) - store < 20 * 2**20
    with Client(attacked.url) as client:
        ended = [client.job(answer.json()["id"]).wait(60).state for answer in accepted[-5:]]
        assert ended == ["succeeded"] * 5
        assert len(list(client.jobs())) >= 201
    assert "OutOfMemory" not in attacked.log("worker")
