"""Shared fixtures: a real Redis, and the rule that a missing service skips a test on a laptop and fails it in CI."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from deploy.embedded.server_programs import version_of
from queuecast.adapters.redis.server_check import version_refusal
from tests.redis_servers import redis_server_in, server_under_test

# Before numpy is imported: several test processes, each with a pool of OpenMP threads, block each other for minutes.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def require_service(is_available: bool, name: str) -> None:
    """Skips the test if the service is missing, or fails it if `QUEUECAST_REQUIRE_SERVICES=1`."""
    if is_available:
        return
    if os.environ.get("QUEUECAST_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{name} is missing, and QUEUECAST_REQUIRE_SERVICES=1 counts that as a failure")
    pytest.skip(f"{name} is missing")


def require_fsync() -> None:
    """For tests of `QUEUECAST_DURABILITY=fsync`, which need a server with WAITAOF."""
    version = version_of(server_under_test())
    require_service(version_refusal(version, "", durable=True) is None, f"WAITAOF, which {version} does not have,")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One embedded server per test process."""
    server = redis_server_in(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent
