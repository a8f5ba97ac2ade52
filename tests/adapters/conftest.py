from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.memory import MemoryAliases, MemoryJobs
from queuecast.adapters.redis_aliases import RedisAliases
from queuecast.adapters.redis_jobs import RedisJobs, connect
from queuecast.ports import AliasStore, JobStore

MEMORY_AND_REDIS = ["memory", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=MEMORY_AND_REDIS)
def jobs(request: pytest.FixtureRequest) -> Iterator[JobStore]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryJobs()
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisJobs(client)


@pytest.fixture(params=MEMORY_AND_REDIS)
def aliases(request: pytest.FixtureRequest) -> Iterator[AliasStore]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield MemoryAliases()
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisAliases(client)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill, freeze and fill."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.stop()
