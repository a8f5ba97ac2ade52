"""Reads all keys of queuecast from Redis as records. `queuecast.adapters.redis.restore` writes them back.

It uses only commands that an ACL without @dangerous allows, so neither KEYS nor DUMP. It is not a snapshot of one
moment: two keys may be read some seconds apart. But a key is read together with its expiry, and a job is one key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from queuecast.adapters.disk.backup_format import Record, to_value
from queuecast.adapters.redis import keys
from queuecast.adapters.redis.connection import call

# `RedisJobMaintenance.requeue_all` makes these again from the job records, or they mean nothing after a restore.
SKIPPED = frozenset(
    key.encode()
    for key in (
        *(keys.LANES, keys.BELLS, keys.ATTENDED, keys.LINGERING, keys.ENTERED, keys.TAKEN, keys.DELAYED),
        *(keys.WORKERS, keys.REAPER),
    )
)
# The reaper makes chunks again for a batch, whose own record and progress are saved.
SKIPPED_PREFIXES = (keys.LANE.encode(), keys.WAKE.encode(), f"{keys.JOB}chunk_".encode())
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
                for batch in _batches(sized_keys):
                    yield from _whole_records(self.client, batch, kind)
        # Indexes come last, so that they name every job that was read. An id without a job in them does no harm.
        for key, kind in indexes:
            yield from _part_records(self.client, key, kind)

    def _count(self, key: bytes) -> None:
        self.counts["keys"] += 1
        self.counts["jobs"] += key.startswith(keys.JOB.encode())
        self.counts["models"] += key.startswith(keys.ALIASES.encode())


def _is_skipped(key: bytes) -> bool:
    return key in SKIPPED or key.startswith(SKIPPED_PREFIXES)


def pages(scan: Any, *args: Any, **kwargs: Any) -> Iterator[list[Any]]:
    """All elements of a SCAN. One may come twice; one that was added or removed while it ran may be missing."""
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


def _batches(sized_keys: list[tuple[bytes, int]]) -> Iterator[list[bytes]]:
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
