"""The server that `make run` and the tests start."""

import socket
import stat
from pathlib import Path

import pytest
import redis

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.disk.embedded_redis import published_url
from tests.redis_servers import redis_server_in


def test_a_full_server_refuses_writes_and_loses_nothing(tmp_path: Path) -> None:
    server = redis_server_in(tmp_path, maxmemory_bytes=16 * 2**20)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            n_stored = 0
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                for n_stored in range(100):
                    client.set(f"key{n_stored}", b"x" * 2**20)

            assert n_stored > 0
            assert client.dbsize() == n_stored
            assert client.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
    finally:
        server.stop()


def test_a_server_without_a_limit_accepts_all_writes(redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": "0"}


def test_a_free_port_can_be_bound_and_lies_outside_the_range_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(50)]

    assert all(20_000 <= port < 32_768 for port in ports)
    with socket.create_server(("127.0.0.1", ports[-1])):
        pass


def test_a_running_server_publishes_its_url_in_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    server = redis_server_in(tmp_path)
    server.start()
    url, mode = published_url(tmp_path), (tmp_path / "url").stat().st_mode
    server.stop()

    assert url == server.url
    assert stat.S_IMODE(mode) == 0o600
    assert published_url(tmp_path) is None
