"""Which workers there are: each writes its own field of one hash with every heartbeat."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import redis

from queuecast.adapters.redis.connection import translated
from queuecast.ports.clock import Clock

KEY = "qc:workers"
HEARD_OF_S = 15.0  # seven heartbeats of Celery's 2 s


class Seen(msgspec.Struct):
    queues: tuple[str, ...]
    at: float


class RedisWorkers:
    def __init__(self, client: redis.Redis, clock: Clock) -> None:
        self._redis = client
        self._clock = clock

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        translated(self._redis.hset, KEY, name, msgspec.json.encode(Seen(queues, self._clock())))

    def forget(self, name: str) -> None:
        translated(self._redis.hdel, KEY, name)

    def queue_lengths(self, queues: Sequence[str]) -> list[int]:
        pipe = self._redis.pipeline(transaction=False)
        for queue in queues:
            pipe.llen(queue)
        return [int(length) for length in translated(pipe.execute)]

    def count_by_queue(self) -> dict[str, int]:
        """Counts the live and takes the long silent out of the hash."""
        found: Counter[str] = Counter()
        for name, data in translated(self._redis.hgetall, KEY).items():
            seen = msgspec.json.decode(data, type=Seen)
            if self._clock() - seen.at > HEARD_OF_S:
                translated(self._redis.hdel, KEY, name)
            else:
                found.update(seen.queues)
        return dict(found)
