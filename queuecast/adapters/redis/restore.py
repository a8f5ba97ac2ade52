"""Writes the records of a backup into Redis."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import redis

from queuecast.adapters.disk.backup_format import Record, to_bytes
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.backup import MAX_ROUND_TRIP_BYTES, MAX_ROUND_TRIP_KEYS, pages
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script, words
from queuecast.domain.errors import ConflictError
from queuecast.domain.job import FINAL_STATES


@dataclass(slots=True)
class Restored:
    """present: keys that existed already and were not changed. expired: records past their expiry."""

    added: int = 0
    jobs: int = 0
    present: int = 0
    expired: int = 0


def require_empty(client: redis.Redis) -> None:
    """Raises ConflictError when Redis has jobs or aliases."""
    for prefix in (keys.JOB, keys.ALIASES):
        for page in pages(client.scan, match=f"{prefix}*"):
            if page:
                found = page[0].decode(errors="replace")
                raise ConflictError(f"this Redis is not empty: it has {found}; --force adds only keys that are missing")


def restore(client: redis.Redis, records: Iterable[Record]) -> Restored:
    """Adds the keys that are missing and overwrites none, so an interrupted restore can simply be repeated.

    Keys keep their time of expiry; expired records are left out. Jobs are in no lane afterwards:
    `RedisJobMaintenance.requeue_all` puts them there.
    """
    add = Script(client, "restore_key")
    restored = Restored()
    now_ms = int(redis_time(client) * 1000)
    for batch in _batches(records):
        pipe = client.pipeline(transaction=False)
        sent = [record for record in batch if record.expires_ms is None or record.expires_ms > now_ms]
        for record in sent:
            expires_ms = "" if record.expires_ms is None else record.expires_ms
            values = [to_bytes(value) for value in record.values]
            args = add.args([values], key=to_bytes(record.key), kind=record.type, expires_ms=expires_ms)
            add.registered(args=args, client=pipe)
        answers = call(pipe.execute) if sent else []
        restored.expired += len(batch) - len(sent)
        for record, answer in zip(sent, answers, strict=True):
            if answer == 1:
                restored.added += 1
                restored.jobs += to_bytes(record.key).startswith(keys.JOB.encode())
            else:
                restored.present += 1
    _unlock_ended_trainings(client)
    return restored


def redis_time(client: redis.Redis) -> float:
    """Seconds since the Unix epoch by Redis's clock, which decides when keys expire."""
    seconds, micros = call(client.time)
    return float(seconds + micros / 1e6)


def _unlock_ended_trainings(client: redis.Redis) -> None:
    unlock = Script(client, "unlock_ended_training")
    for page in pages(client.scan, match=f"{keys.TRAINING}*"):
        for lock in page:
            call(unlock, lock=lock, final_states=words(FINAL_STATES))


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Batches of a bounded size, for one round trip each."""
    batch: list[Record] = []
    total = 0
    for record in records:
        batch.append(record)
        total += sum(len(to_bytes(value)) for value in record.values)
        if total > MAX_ROUND_TRIP_BYTES or len(batch) == MAX_ROUND_TRIP_KEYS:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch
