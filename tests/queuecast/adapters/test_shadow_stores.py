"""The store of shadows, in memory and in Redis."""

from collections.abc import Iterator

import pytest

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.shadows import MemoryShadows
from queuecast.adapters.redis.aliases import RedisAliases
from queuecast.adapters.redis.connection import connect
from queuecast.adapters.redis.versions.shadows import RedisShadows
from queuecast.domain.errors import Failure
from queuecast.domain.model import MODEL_DELETION, AliasMove
from queuecast.domain.shadows import Shadow, ShadowRecord
from queuecast.ports.aliases import AliasStore
from queuecast.ports.shadows import ShadowStore

FAILURE = Failure("run_failed", "it raised")
Stores = tuple[ShadowStore, AliasStore]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        aliases = MemoryAliases()
        yield MemoryShadows(lambda model: aliases.read(model).versions.get("champion")), aliases
        return
    with connect(request.getfixturevalue("redis_url")) as client:
        yield RedisShadows(client), RedisAliases(client)


def promote(aliases: AliasStore, version: int) -> None:
    present = aliases.read("m")
    aliases.move("m", AliasMove(present.generation + 1, "champion", version, None, 1.0, "put"))


def test_a_model_has_the_shadow_that_was_set_last(stores: Stores) -> None:
    shadows, aliases = stores
    promote(aliases, 1)

    shadows.put("m", 2, 0.25, 5.0)

    assert shadows.read("m") == Shadow(2, 0.25, 5.0, 1)
    assert shadows.record("m") == ShadowRecord()
    assert shadows.read("other") is None


def test_counters_add_up(stores: Stores) -> None:
    shadows, aliases = stores
    promote(aliases, 1)
    shadows.put("m", 2, 1.0, 5.0)

    assert shadows.add("m", 1, 2, {"sent": 2, "difference": 0.5}, 6.0)
    assert shadows.add("m", 1, 2, {"compared": 1, "difference": 0.25}, 7.0)
    assert shadows.add("m", 1, 2, {"failed": 1}, 8.0, FAILURE)

    record = shadows.record("m")
    assert record.counters == {"sent": 2, "compared": 1, "failed": 1, "difference": 0.75}
    assert (record.compared_at, record.failed_at, record.failure) == (7.0, 8.0, FAILURE)


@pytest.mark.parametrize("pair", [(1, 3), (3, 2)])
def test_the_counters_of_another_pair_are_dropped(stores: Stores, pair: tuple[int, int]) -> None:
    shadows, aliases = stores
    promote(aliases, 1)
    shadows.put("m", 2, 1.0, 5.0)

    assert not shadows.add("m", *pair, {"sent": 1}, 6.0)

    assert shadows.record("m") == ShadowRecord()


def test_the_counters_start_again_with_another_version(stores: Stores) -> None:
    shadows, aliases = stores
    promote(aliases, 1)
    shadows.put("m", 2, 1.0, 5.0)
    shadows.add("m", 1, 2, {"sent": 1}, 6.0)

    shadows.put("m", 2, 0.5, 7.0)
    assert shadows.record("m").count("sent") == 1
    shadows.put("m", 3, 0.5, 7.0)

    assert shadows.record("m") == ShadowRecord()


def test_the_counters_start_again_with_another_champion(stores: Stores) -> None:
    shadows, aliases = stores
    promote(aliases, 1)
    shadows.put("m", 2, 1.0, 5.0)
    shadows.add("m", 1, 2, {"sent": 1}, 6.0)

    promote(aliases, 3)

    assert shadows.record("m") == ShadowRecord()


def test_a_deleted_shadow_counts_nothing(stores: Stores) -> None:
    shadows, aliases = stores
    promote(aliases, 1)
    shadows.put("m", 2, 1.0, 5.0)
    shadows.add("m", 1, 2, {"sent": 1}, 6.0)

    shadows.delete("m")
    shadows.delete("m")

    assert shadows.read("m") is None
    assert not shadows.add("m", 1, 2, {"sent": 1}, 6.0)
    assert shadows.record("m") == ShadowRecord()


@pytest.mark.redis
def test_a_shadow_goes_with_its_model(redis_url: str) -> None:
    with connect(redis_url) as client:
        shadows, aliases = RedisShadows(client), RedisAliases(client)
        promote(aliases, 1)
        shadows.put("m", 2, 1.0, 5.0)

        aliases.delete("m", AliasMove(2, "", 2, None, 1.0, MODEL_DELETION))

        assert shadows.read("m") is None
