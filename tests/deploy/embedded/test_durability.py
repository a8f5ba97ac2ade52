"""Writes that a server has answered, and that a kill of its process loses or keeps.

Redis and Valkey write a command to the append-only file before they answer it. With `everysec` there is one exception:
while the forced write of the second before still runs, the server keeps the commands in its memory, for two seconds at
most (`flushAppendOnlyFile` in `aof.c`). A stopped writing thread stands for a slow disk here.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from tests.queuecast.adapters.waits import until
from tests.redis_servers import redis_server_in

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207  # linux/ptrace.h
ALL_THREADS = 0x40000000  # __WALL of waitpid(2): also a thread that is no process of its own


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    started = redis_server_in(tmp_path)
    started.start()
    yield started
    started.stop()


@contextmanager
def killed_on_a_slow_disk(server: RedisServer) -> Iterator[None]:
    """Stops the thread that forces the file to the disk for the time of the block, and then kills the server."""
    (thread,) = (
        int(task.name)
        for task in Path(f"/proc/{server.pid}/task").iterdir()
        if (task / "comm").read_text().startswith("bio_aof")
    )
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, ALL_THREADS)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGKILL)
        os.waitpid(thread, ALL_THREADS)
        server.kill()


def count(client: redis.Redis, field: str) -> Callable[[], bool]:
    return lambda: int(client.info("persistence")[field]) > 0


def test_a_server_killed_while_its_disk_is_slow_loses_at_most_two_seconds(server: RedisServer) -> None:
    with killed_on_a_slow_disk(server), redis.Redis.from_url(server.url) as client:
        client.set("starts the forced write", 1)
        until(count(client, "aof_pending_bio_fsync"))
        client.set("delayed", 1)
        until(count(client, "aof_delayed_fsync"))  # two seconds later the server writes without waiting any longer
        client.set("lost", 1)

    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert set(client.keys()) == {b"starts the forced write", b"delayed"}


def test_with_always_a_server_killed_while_its_disk_is_slow_loses_nothing(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.config_set("appendfsync", "always")  # waits for a forced write that still runs
        with killed_on_a_slow_disk(server):
            client.set("kept", 1)

    server.start()
    with redis.Redis.from_url(server.url) as client:
        assert client.keys() == [b"kept"]
