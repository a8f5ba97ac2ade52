"""One process leads at a time, until it resigns or is silent for its term."""

from collections.abc import Callable, Iterator

import pytest
import redis

from deploy.embedded.redis_server import RedisServer
from queuecast.adapters.redis import keys
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
    return lambda term_s=LONG_S, key=keys.REAPER: RedisLeader(client, key, term_s)


def test_the_first_candidate_leads_and_stays_the_leader(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()

    assert [first.leads(), second.leads(), first.leads(), second.leads()] == [True, False, True, False]


def test_exactly_one_of_concurrent_candidates_leads(candidate: Callable[..., RedisLeader]) -> None:
    answers = at_once([candidate().leads for _ in range(8)])

    assert sorted(answers, key=str) == [False] * 7 + [True]


def test_another_candidate_replaces_a_leader_that_resigned_at_once(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()
    first.leads()

    first.resign()

    assert [second.leads(), first.leads()] == [True, False]


def test_only_the_leader_can_resign(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(), candidate()
    first.leads()

    second.resign()

    assert [second.leads(), first.leads()] == [False, True]


def test_another_candidate_replaces_a_silent_leader_after_its_term(candidate: Callable[..., RedisLeader]) -> None:
    first, second = candidate(SHORT_S), candidate(LONG_S)
    first.leads()

    assert until(second.leads)
    assert not first.leads()


def test_a_leader_that_renews_has_a_new_term(client: redis.Redis, candidate: Callable[..., RedisLeader]) -> None:
    leader = candidate()
    leader.leads()
    client.pexpire("qc:reaper", 1_000)

    leader.leads()

    assert client.pttl("qc:reaper") > 50_000


def test_a_term_expires_by_itself(client: redis.Redis, candidate: Callable[..., RedisLeader]) -> None:
    candidate(SHORT_S).leads()

    assert until(lambda: client.exists("qc:reaper") == 0)


def test_each_key_has_its_own_leader(candidate: Callable[..., RedisLeader]) -> None:
    assert [candidate(key="qc:reaper").leads(), candidate(key="qc:webhooks").leads()] == [True, True]


def test_resigning_twice_or_before_leading_is_harmless(candidate: Callable[..., RedisLeader]) -> None:
    leader = candidate()

    leader.resign()
    leader.leads()
    leader.resign()
    leader.resign()

    assert candidate().leads()


def test_a_candidate_can_lead_when_memory_is_used_up(own_server: RedisServer) -> None:
    """Accepted jobs must still be repaired then, or no memory is ever freed."""
    with connect(own_server.url) as client:
        first, second = RedisLeader(client, keys.REAPER, LONG_S), RedisLeader(client, keys.REAPER, LONG_S)
        client.config_set("maxmemory", 1)

        answers = [first.leads(), second.leads(), first.leads()]
        first.resign()

        assert (answers, second.leads()) == ([True, False, True], True)


def test_no_candidate_leads_while_redis_is_away(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        leader = RedisLeader(client, keys.REAPER, LONG_S)
        leader.leads()
        own_server.kill()

        for call in (leader.leads, leader.resign):
            with pytest.raises(UnavailableError):
                call()
