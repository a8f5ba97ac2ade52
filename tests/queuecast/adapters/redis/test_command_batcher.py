"""Commands from many threads share round trips, and each thread gets its own answer or error."""

import os
import signal
import threading
from collections.abc import Callable

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis.command_batcher import CommandBatcher
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.script_loader import Script
from tests.queuecast.adapters.waits import at_once, until

pytestmark = pytest.mark.redis


@pytest.fixture
def batcher(own_server: RedisServer) -> CommandBatcher:
    return CommandBatcher(connect(own_server.url))


def test_a_single_command_is_answered(batcher: CommandBatcher) -> None:
    batcher.call("HSET", "h", "a", "1")

    assert batcher.call("HMGET", "h", "a", "b") == [b"1", None]


@pytest.mark.parametrize("threads", [2, 64, 3 * 128])
def test_each_thread_gets_the_answer_to_its_own_command(batcher: CommandBatcher, threads: int) -> None:
    def ask(number: int) -> list[bytes]:
        return [batcher.call("ECHO", f"{number}-{again}") for again in range(5)]

    found = at_once([lambda number=number: ask(number) for number in range(threads)])  # type: ignore[misc]

    assert found == [[f"{number}-{again}".encode() for again in range(5)] for number in range(threads)]


def test_a_refused_command_is_an_error_only_in_its_own_thread(batcher: CommandBatcher) -> None:
    batcher.call("SET", "text", "x")

    found = at_once([lambda: batcher.call("ECHO", "a"), lambda: batcher.call("INCR", "text")] * 20)

    assert found[::2] == [b"a"] * 20
    assert {type(each) for each in found[1::2]} == {redis.ResponseError}


def test_a_script_that_redis_has_forgotten_is_loaded_again(own_server: RedisServer) -> None:
    client = connect(own_server.url)
    batcher, script = CommandBatcher(client), Script(client, "read_results")

    client.script_flush()

    assert at_once([lambda: batcher.run(script, ["job_1"])] * 20) == [[[None, None]]] * 20


def test_a_broken_connection_is_an_error_in_every_thread_and_the_next_command_succeeds(
    own_server: RedisServer, batcher: CommandBatcher
) -> None:
    own_server.kill()
    gone = at_once([lambda: batcher.call("PING")] * 30)
    own_server.start()

    assert {issubclass(type(each), redis.ConnectionError) for each in gone} == {True}
    assert batcher.call("ECHO", "back") == b"back"


def test_a_connection_closed_while_idle_is_replaced(
    own_server: RedisServer, batcher: CommandBatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommandBatcher, "IDLE_S", 0.0)
    batcher.call("PING")
    connect(own_server.url).client_kill_filter(_type="normal", skipme=True)

    assert batcher.call("ECHO", "x") == b"x"


def test_commands_issued_while_redis_does_not_answer_are_answered_later(
    own_server: RedisServer, batcher: CommandBatcher
) -> None:
    batcher.call("PING")
    os.kill(own_server.pid, signal.SIGSTOP)
    answers: list[object] = []
    threads = [threading.Thread(target=lambda: answers.append(batcher.call("ECHO", "x"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    until(lambda: len(batcher._queue) == len(threads) - 1)  # all but the sender, which waits for Redis
    os.kill(own_server.pid, signal.SIGCONT)
    for thread in threads:
        thread.join(10)

    assert answers == [b"x"] * 20


def test_a_deleted_batcher_releases_its_connection(own_server: RedisServer) -> None:
    client = connect(own_server.url, max_connections=2)

    for number in range(10):
        assert CommandBatcher(client).call("ECHO", str(number)) == str(number).encode()

    assert client.ping()


def test_an_interrupted_sender_leaves_no_thread_waiting_and_no_unread_answer(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = CommandBatcher(connect(own_server.url))
    batcher.call("ECHO", "first")
    connection = batcher._connection
    with monkeypatch.context() as patched:
        patched.setattr(connection, "read_response", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            batcher.call("ECHO", "unread")

    assert at_once([lambda: batcher.call("ECHO", "next")] * 5) == [b"next"] * 5


def raising(error: BaseException) -> Callable[..., None]:
    def read(*_: object, **__: object) -> None:
        raise error

    return read
