"""Who leads: one at a time, for as long as it says so."""

from collections.abc import Callable, Iterator

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.leader import RedisLeader
from queuecast.domain.errors import UnavailableError
from tests.queuecast.adapters.waits import at_once, until

pytestmark = pytest.mark.redis

LONG_S = 60.0
SHORT_S = 0.2


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with connect(redis_url) as connected:
        yield connected


@pytest.fixture
def candidate(client: redis.Redis) -> Callable[..., RedisLeader]:
    return lambda term_s=LONG_S, office="reaper": RedisLeader(client, office, term_s)


def test_the_first_to_ask_leads_and_keeps_the_office(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()

    assert [first.leads(), second.leads(), first.leads(), second.leads()] == [True, False, True, False]


def test_of_many_that_ask_at_once_one_leads(candidate: Callable[..., RedisLeader]) -> None:
    answers = at_once([candidate().leads for _ in range(8)])

    assert sorted(answers, key=str) == [False] * 7 + [True]


def test_another_takes_over_at_once_from_a_leader_that_resigned(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()
    first.leads()

    first.resign()

    assert [second.leads(), first.leads()] == [True, False]


def test_whoever_does_not_lead_cannot_resign_for_the_one_who_does(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()
    first.leads()

    second.resign()

    assert [second.leads(), first.leads()] == [False, True]


def test_another_takes_over_from_a_silent_leader_when_its_term_is_over(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(SHORT_S), candidate(LONG_S)
    first.leads()

    assert until(second.leads)
    assert not first.leads()


def test_a_leader_that_asks_again_has_a_new_term(client: redis.Redis, candidate: Callable[..., RedisLeader]) -> None:
    leader = candidate()
    leader.leads()
    client.pexpire("qc:reaper", 1_000)

    leader.leads()

    assert client.pttl("qc:reaper") > 50_000


def test_a_term_ends_without_anybodys_help(client: redis.Redis, candidate: Callable[..., RedisLeader]) -> None:
    candidate(SHORT_S).leads()

    assert until(lambda: client.exists("qc:reaper") == 0)


def test_each_office_has_a_leader_of_its_own(candidate: Callable[..., RedisLeader]) -> None:
    assert [candidate(office="reaper").leads(), candidate(office="webhooks").leads()] == [True, True]


def test_resigning_twice_or_before_leading_is_harmless(candidate: Callable[..., RedisLeader]) -> None:
    leader = candidate()

    leader.resign()
    leader.leads()
    leader.resign()
    leader.resign()

    assert candidate().leads()


def test_somebody_leads_when_memory_is_used_up(own_server: RedisServer) -> None:
    """What was accepted must still be repaired then, or nothing is ever freed."""
    with connect(own_server.url) as client:
        first, second = RedisLeader(client, "reaper", LONG_S), RedisLeader(client, "reaper", LONG_S)
        client.config_set("maxmemory", 1)

        answers = [first.leads(), second.leads(), first.leads()]
        first.resign()

        assert (answers, second.leads()) == ([True, False, True], True)


def test_nobody_leads_while_redis_is_away(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        leader = RedisLeader(client, "reaper", LONG_S)
        leader.leads()
        own_server.kill()

        for call in (leader.leads, leader.resign):
            with pytest.raises(UnavailableError):
                call()
