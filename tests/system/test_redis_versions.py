"""The gateway with an unsuitable Redis."""

import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from deploy.embedded.redis_server import free_port
from tests.redis_of_version import RedisOfVersion, info_of
from tests.system.conftest import wait_for


def gateway(repository: Path, log: Path, port: int, **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--log-level", "error", "--port", str(port)]
    environ = os.environ | {"PYTHONPATH": str(repository)} | variables
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--blocking-threads", "8", "api.main:app"],
            cwd=repository,
            env=environ,
            stdout=output,
            stderr=output,
        )


@pytest.mark.parametrize(
    ("version", "durability", "expected"),
    [
        ("6.2.5", "everysec", "found Redis 6.2.5 at 127.0.0.1:{port}, expected Redis 7.0 or later, or Valkey"),
        (
            "7.0.15",
            "fsync",
            "QUEUECAST_DURABILITY is fsync; found Redis 7.0.15 at 127.0.0.1:{port}, expected Redis 7.2",
        ),
    ],
)
def test_a_gateway_refuses_to_start_when_redis_is_too_old(
    repository: Path, tmp_path: Path, version: str, durability: str, expected: str
) -> None:
    with RedisOfVersion(info_of(version)) as old:
        started = gateway(
            repository,
            tmp_path / "log",
            free_port(),
            QUEUECAST_REDIS_URL=old.url,
            QUEUECAST_DURABILITY=durability,
        )
        code = started.wait(60)

    lines = (tmp_path / "log").read_text().splitlines()
    assert code == 1
    assert [line for line in lines if line.startswith(f"queuecast cannot start: {expected.format(port=old.port)}")]
    assert "Traceback" not in "".join(lines)


def test_readiness_reports_a_redis_that_is_too_old_until_a_newer_one_replaces_it(
    repository: Path, tmp_path: Path
) -> None:
    port, redis_port = free_port(), free_port()
    ready = f"http://127.0.0.1:{port}/readyz"
    started = gateway(repository, tmp_path / "log", port, QUEUECAST_REDIS_URL=f"redis://127.0.0.1:{redis_port}/0")

    def detail() -> str:
        try:
            answer = httpx2.get(ready, timeout=5)
        except httpx2.HTTPError:
            return ""
        return str(answer.json().get("detail", "")) if answer.status_code == 503 else "ready"

    try:
        wait_for(lambda: "Redis does not answer" in detail(), "the gateway without Redis", 60)
        with RedisOfVersion(info_of("6.2.5"), redis_port) as server:
            reason = f"found Redis 6.2.5 at 127.0.0.1:{redis_port}, expected Redis 7.0 or later, or Valkey"
            wait_for(lambda: detail() == f"this Redis cannot be used: {reason}", "the reason")

            server.info = info_of("7.0.15")
            wait_for(lambda: "cannot be used" not in detail(), "the newer Redis")
    finally:
        started.terminate()
        started.wait(30)

    log = (tmp_path / "log").read_text()
    assert log.count('"redis_unsuitable"') == log.count(reason) == 1
