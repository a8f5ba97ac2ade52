"""All processes share the clock of Redis, whatever the clock of their machine says."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import redis

from deploy.embedded.redis_server import RedisServer, free_port
from queuecast.adapters.redis.clock import RedisClock
from queuecast.adapters.redis.connection import connect
from tests.queuecast.adapters.waits import at_once, until

pytestmark = pytest.mark.redis

HOUR_S = 3600.0
CLOSE_S = 1.0  # far more than a round trip on a busy machine, and far less than an hour


class RedisAnHourAhead(redis.Redis):
    """A server whose clock is an hour ahead of this machine's."""

    def time(self, **given: Any) -> Any:
        seconds, micros = super().time(**given)
        return seconds + int(HOUR_S), micros


@pytest.fixture
def ahead(redis_url: str) -> Iterator[RedisAnHourAhead]:
    with RedisAnHourAhead.from_url(redis_url) as client:
        yield client


def requests(client: redis.Redis) -> int:
    """The number of TIME commands so far."""
    return client.info("commandstats").get("cmdstat_time", {"calls": 0})["calls"]


def test_the_clock_has_the_time_of_redis_and_not_of_this_machine(ahead: RedisAnHourAhead) -> None:
    assert RedisClock(ahead)() == pytest.approx(time.time() + HOUR_S, abs=CLOSE_S)


def test_two_processes_with_different_clocks_agree(ahead: RedisAnHourAhead) -> None:
    assert RedisClock(ahead)() == pytest.approx(RedisClock(ahead)(), abs=CLOSE_S)


def test_the_clock_never_goes_back_between_two_requests(ahead: RedisAnHourAhead) -> None:
    clock = RedisClock(ahead)

    ticks = [clock() for _ in range(2_000)]

    assert all(earlier <= later for earlier, later in pairwise(ticks))


def test_the_server_is_not_asked_at_every_call(ahead: RedisAnHourAhead) -> None:
    clock = RedisClock(ahead)
    before = requests(ahead)

    for _ in range(1_000):
        clock()

    assert requests(ahead) - before == 1


def test_after_a_while_the_server_is_asked_again(ahead: RedisAnHourAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RedisClock, "ASK_EVERY_S", 0.0)
    clock = RedisClock(ahead)
    before = requests(ahead)

    for _ in range(3):
        clock()

    assert requests(ahead) - before == 3


def test_concurrent_threads_read_the_same_time(ahead: RedisAnHourAhead) -> None:
    clock = RedisClock(ahead)
    clock()

    answers = at_once([clock] * 8)

    assert all(answer == pytest.approx(time.time() + HOUR_S, abs=CLOSE_S) for answer in answers), answers


def test_concurrent_first_calls_all_get_the_time_of_redis(ahead: RedisAnHourAhead) -> None:
    """Threads that did not ask Redis themselves once used this machine's clock."""
    for _ in range(10):
        answers = at_once([RedisClock(ahead)] * 8)

        assert all(answer == pytest.approx(time.time() + HOUR_S, abs=CLOSE_S) for answer in answers), answers


def test_an_unanswered_first_request_is_soon_repeated(ahead: RedisAnHourAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = RedisClock(ahead)
    with monkeypatch.context() as patched:
        patched.setattr(RedisAnHourAhead, "time", lambda self, **given: ahead.execute_command("NOTHING"))
        assert clock() == pytest.approx(time.time(), abs=CLOSE_S)

    until(lambda: clock() > time.time() + HOUR_S - CLOSE_S, deadline_s=RedisClock.ASK_EVERY_S - 1)


def test_the_clock_continues_from_the_last_answer_while_redis_is_away(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisAnHourAhead.from_url(own_server.url) as client:
        clock = RedisClock(client)
        before = clock()
        own_server.kill()
        monkeypatch.setattr(RedisClock, "ASK_EVERY_S", 0.0)

        ticks = [before, *(clock() for _ in range(3))]

    assert ticks == sorted(ticks)
    assert ticks[-1] == pytest.approx(time.time() + HOUR_S, abs=CLOSE_S)


def test_the_clock_of_redis_is_used_again_when_it_is_back(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedisClock, "RETRY_EVERY_S", 0.0)
    own_server.kill()
    with RedisAnHourAhead.from_url(own_server.url) as client:
        clock = RedisClock(client)
        without = clock()
        own_server.start()

        assert clock() - without == pytest.approx(HOUR_S, abs=15)


def test_the_clock_of_this_machine_is_used_until_redis_answers() -> None:
    with connect(f"redis://127.0.0.1:{free_port()}/0") as client:
        assert RedisClock(client)() == pytest.approx(time.time(), abs=CLOSE_S)
