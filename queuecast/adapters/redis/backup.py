"""Reads all keys of queuecast from Redis as the records of a backup, and writes them back.

It uses only commands that an ACL without @dangerous allows, so neither KEYS, DUMP nor RESTORE. A backup is not a
snapshot of one moment: two keys may be read some seconds apart. But a key is read together with its expiry, and a job
is one key.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from queuecast.adapters.backup_records import Record, to_bytes, to_value
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call
from queuecast.adapters.redis.script_loader import Script, word_list
from queuecast.domain.errors import ConflictError
from queuecast.domain.job import FINAL_STATES
from queuecast.domain.shadows import SHADOW_PREFIX

# `RedisJobMaintenance.requeue_all` makes these again from the job records, or they mean nothing after a restore.
SKIPPED = frozenset(
    key.encode()
    for key in (
        *(keys.LANES, keys.BELLS, keys.ATTENDED, keys.LINGERING, keys.ENTERED, keys.TAKEN, keys.DELAYED),
        *(keys.WORKERS, keys.LOADED, keys.REAPER, keys.MOVES),
    )
)
# The reaper makes chunks again for a batch, whose own record and progress are saved. No caller has a shadow's job.
SKIPPED_PREFIXES = (
    *(keys.LANE.encode(), keys.WAKE.encode(), keys.CHAMPION_CHECK.encode()),
    *(f"{keys.JOB}chunk_".encode(), f"{keys.JOB}{SHADOW_PREFIX}".encode()),
)
MAX_ROUND_TRIP_BYTES = 4 * 2**20  # bounds the memory of both sides, and for how long Redis serves no other client
MAX_ROUND_TRIP_KEYS = 200
_SCANNED = {"set": "sscan", "zset": "zscan"}
_READ: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
}


@dataclass(slots=True)
class Dump:
    """An iterator of records that counts what it has read. `unsupported`: keys of a type that a record cannot hold."""

    client: redis.Redis
    counts: dict[str, int] = field(default_factory=lambda: {"jobs": 0, "models": 0, "keys": 0})
    unsupported: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Record]:
        indexes: list[tuple[bytes, str]] = []
        for page in pages(self.client.scan, match=f"{keys.PREFIX}*"):
            small: dict[str, list[tuple[bytes, int]]] = {}
            for key, kind, size in _kinds([key for key in page if not _is_skipped(key)], self.client):
                self._count(key)
                if kind in _SCANNED:
                    indexes.append((key, kind))
                elif kind in _READ:
                    small.setdefault(kind, []).append((key, size))
                else:
                    self.unsupported.append(f"{key.decode(errors='replace')} ({kind})")
            for kind, sized_keys in small.items():
                for batch in _key_batches(sized_keys):
                    yield from _whole_records(self.client, batch, kind)
        # Indexes come last, so that they name every job that was read. An id without a job in them does no harm.
        for key, kind in indexes:
            yield from _part_records(self.client, key, kind)

    def _count(self, key: bytes) -> None:
        self.counts["keys"] += 1
        self.counts["jobs"] += key.startswith(keys.JOB.encode())
        self.counts["models"] += key.startswith(keys.ALIASES.encode())


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
    for batch in _record_batches(records):
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


def _is_skipped(key: bytes) -> bool:
    return key in SKIPPED or key.startswith(SKIPPED_PREFIXES)


def pages(scan: Any, *args: Any, **kwargs: Any) -> Iterator[list[Any]]:
    """All elements of a SCAN. An element may come twice, or not at all if it was added or removed during the scan."""
    cursor = 0
    while True:
        cursor, page = call(scan, *args, cursor=cursor, count=500, **kwargs)
        yield page
        if cursor == 0:
            return


def _kinds(found: list[bytes], client: redis.Redis) -> list[tuple[bytes, str, int]]:
    """The type and size of each key that still exists."""
    pipe = client.pipeline(transaction=False)
    for key in found:
        pipe.type(key)
        pipe.memory_usage(key, samples=0)
    answers = call(pipe.execute) if found else []
    sized = zip(found, answers[::2], answers[1::2], strict=True)
    return [(key, kind.decode(), size) for key, kind, size in sized if size is not None]


def _key_batches(sized_keys: list[tuple[bytes, int]]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    total = 0
    for key, size in sized_keys:
        if batch and (total + size > MAX_ROUND_TRIP_BYTES or len(batch) == MAX_ROUND_TRIP_KEYS):
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
    if batch:
        yield batch


def _whole_records(client: redis.Redis, batch: list[bytes], kind: str) -> Iterator[Record]:
    # MULTI: a job that ends between the two reads would come back as running, but with an expiry.
    pipe: Any = client.pipeline(transaction=True)
    for key in batch:
        _READ[kind](pipe, key)
        pipe.pexpiretime(key)
    answers = call(pipe.execute)
    for key, content, expires_ms in zip(batch, answers[::2], answers[1::2], strict=True):
        if content is None or expires_ms == -2:  # deleted since the scan
            continue
        parts = [content] if kind == "string" else content
        flat = [part for pair in content.items() for part in pair] if kind == "hash" else parts
        yield Record(to_value(key), kind, [to_value(part) for part in flat], expires_ms if expires_ms >= 0 else None)


def _part_records(client: redis.Redis, key: bytes, kind: str) -> Iterator[Record]:
    expires_ms = call(client.pexpiretime, key)
    for page in pages(getattr(client, _SCANNED[kind]), key):
        flat = [part for member, score in page for part in (repr(score).encode(), member)] if kind == "zset" else page
        if flat:
            values = [to_value(part) for part in flat]
            yield Record(to_value(key), kind, values, expires_ms if expires_ms >= 0 else None)


def _unlock_ended_trainings(client: redis.Redis) -> None:
    unlock = Script(client, "unlock_ended_training")
    for page in pages(client.scan, match=f"{keys.TRAINING}*"):
        for lock in page:
            call(unlock, lock=lock, final_states=word_list(FINAL_STATES))


def _record_batches(records: Iterable[Record]) -> Iterator[list[Record]]:
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
