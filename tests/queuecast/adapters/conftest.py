from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.jobs import RedisJobs
from queuecast.adapters.redis.lanes import RedisLanes
from queuecast.ports.aliases import AliasStore
from queuecast.ports.jobs import JobStore
from queuecast.ports.lanes import Lanes
from tests.queuecast.adapters.disks import mount, unmount
from tests.queuecast.adapters.store_steps import MakeStore, Store
from tests.redis_servers import redis_server_in


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def make_store(request: pytest.FixtureRequest) -> Iterator[MakeStore]:
    """Makes empty stores, in memory and in Redis."""
    if request.param == "memory":

        def in_memory(max_lane_jobs: int) -> Store:
            jobs = MemoryJobs(max_lane_jobs)
            return Store(jobs, MemoryLanes(jobs), MemoryAliases(jobs))

        yield in_memory
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield lambda max_lane_jobs: Store(
            RedisJobs(client, max_lane_jobs=max_lane_jobs), RedisLanes(client), RedisAliases(client)
        )


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store(10_000)


@pytest.fixture
def jobs(store: Store) -> JobStore:
    return store.jobs


@pytest.fixture
def lanes(store: Store) -> Lanes:
    return store.lanes


@pytest.fixture
def aliases(store: Store) -> AliasStore:
    return store.aliases


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill, freeze and fill."""
    server = redis_server_in(tmp_path / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk that a test may fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount(folder):
        pytest.skip("a disk of its own cannot be mounted here")
    yield folder
    unmount(folder)
