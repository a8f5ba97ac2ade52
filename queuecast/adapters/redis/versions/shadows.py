"""Shadows in Redis: one hash for the shadow of a model, and one for its counters.

The script that moves an alias removes the counters when the champion changes.
"""

from collections.abc import Mapping

import msgspec
import redis

from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script
from queuecast.domain.errors import Failure
from queuecast.domain.shadows import Shadow, ShadowRecord


class RedisShadows:
    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._put = Script(client, "put_shadow")
        self._add = Script(client, "count_shadow")

    def read(self, model: str) -> Shadow | None:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hmget(f"{keys.SHADOW}{model}", ["version", "sample", "since"])
        pipe.hget(f"{keys.ALIASES}{model}", "alias:champion")
        (version, sample, since), champion = call(pipe.execute)
        if version is None:
            return None
        return Shadow(int(version), float(sample), float(since), None if champion is None else int(champion))

    def record(self, model: str) -> ShadowRecord:
        fields = call(self._redis.hgetall, f"{keys.SHADOW_COUNTERS}{model}")
        compared_at, failed_at, failure = (
            fields.pop(name, None) for name in (b"compared_at", b"failed_at", b"failure")
        )
        return ShadowRecord(
            {name.decode(): float(value) for name, value in fields.items()},
            None if compared_at is None else float(compared_at),
            None if failed_at is None else float(failed_at),
            None if failure is None else msgspec.json.decode(failure, type=Failure),
        )

    def put(self, model: str, version: int, sample: float, now: float) -> None:
        call(self._put, model=model, version=version, sample=sample, since=now)

    def delete(self, model: str) -> None:
        call(self._redis.delete, f"{keys.SHADOW}{model}", f"{keys.SHADOW_COUNTERS}{model}")

    def add(
        self,
        model: str,
        champion: int,
        version: int,
        counters: Mapping[str, float],
        now: float,
        failure: Failure | None = None,
    ) -> bool:
        return bool(
            call(
                self._add,
                counters.items(),
                model=model,
                champion=champion,
                version=version,
                now=now,
                failure="" if failure is None else msgspec.json.encode(failure),
            )
        )
