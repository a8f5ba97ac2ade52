"""The running workers and their processes: each writes its own field of one hash with every heartbeat."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import redis

from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.ports.clock import Clock
from queuecast.ports.workers import ProcessModels

WORKER_GONE_S = 15.0  # seven heartbeats of Celery's 2 s


class Report(msgspec.Struct):
    queues: tuple[str, ...]
    at: float


class ModelReport(msgspec.Struct):
    models: ProcessModels
    at: float


class RedisWorkers:
    def __init__(self, client: redis.Redis, clock: Clock) -> None:
        self._redis = client
        self._clock = clock

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        call(self._redis.hset, keys.WORKERS, name, msgspec.json.encode(Report(queues, self._clock())))

    def forget(self, name: str) -> None:
        call(self._redis.hdel, keys.WORKERS, name)

    def queue_lengths(self, lists: Sequence[str]) -> list[int]:
        pipe = self._redis.pipeline(transaction=False)
        for name in lists:
            pipe.llen(name)
        return [int(length) for length in call(pipe.execute)]

    def count_by_queue(self) -> dict[str, int]:
        """Counts the running workers, and removes those whose last report is too old from the hash."""
        counts: Counter[str] = Counter()
        for name, data in call(self._redis.hgetall, keys.WORKERS).items():
            report = msgspec.json.decode(data, type=Report)
            if self._clock() - report.at > WORKER_GONE_S:
                call(self._redis.hdel, keys.WORKERS, name)
            else:
                counts.update(report.queues)
        return dict(counts)

    def report_models(self, process: str, models: ProcessModels) -> None:
        call(self._redis.hset, keys.LOADED, process, msgspec.json.encode(ModelReport(models, self._clock())))

    def forget_process(self, process: str) -> None:
        call(self._redis.hdel, keys.LOADED, process)

    def loaded_models(self) -> dict[str, ProcessModels]:
        """Removes processes whose last report is too old from the hash."""
        found: dict[str, ProcessModels] = {}
        for process, data in call(self._redis.hgetall, keys.LOADED).items():
            report = msgspec.json.decode(data, type=ModelReport)
            if self._clock() - report.at > WORKER_GONE_S:
                call(self._redis.hdel, keys.LOADED, process)
            else:
                found[process.decode()] = report.models
        return found
