"""What Redis holds under `qc:`, read key by key into records. `queuecast.adapters.redis.restore` goes the other way.

Only with commands that an ACL without @dangerous allows, so without KEYS, DUMP and RESTORE. It is no snapshot of one
moment while writes go on, but a key is read together with its expiry at once, and a job is one key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import redis

from queuecast.adapters.disk.backup_format import Record, to_value
from queuecast.adapters.redis.connection import translated

# Rebuilt from the job records by `requeue_all`, or of no meaning later: who works now, which bell was rung.
LEFT_OUT = frozenset(
    {
        *(b"qc:lanes", b"qc:bells", b"qc:attended", b"qc:lingering", b"qc:entered", b"qc:taken"),
        *(b"qc:workers", b"qc:reaper", b"qc:delayed"),
    }
)
# A chunk is made again by the reaper for its batch, whose record and board are saved.
LEFT_OUT_PREFIXES = (b"qc:lane:", b"qc:wake:", b"qc:job:chunk_")
JOBS, ALIASES = b"qc:job:", b"qc:aliases:"
SCAN_COUNT = 500
AT_ONCE_BYTES = 4 * 2**20  # bounds the memory of both sides, and how long Redis does nothing else
MOST_AT_ONCE = 200
_SCANNED = {"set": "sscan", "zset": "zscan"}
_READ: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
}


@dataclass(slots=True)
class Dump:
    """An iterator of records that counts what it gave. `unknown` are keys of a type that it cannot carry."""

    client: redis.Redis
    counts: dict[str, int] = field(default_factory=lambda: {"jobs": 0, "models": 0, "keys": 0})
    unknown: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Record]:
        indexes: list[tuple[bytes, str]] = []
        for page in pages(self.client.scan, match="qc:*"):
            small: dict[str, list[tuple[bytes, int]]] = {}
            for key, kind, size in _kinds([key for key in page if not _is_left_out(key)], self.client):
                self._count(key)
                if kind in _SCANNED:
                    indexes.append((key, kind))
                elif kind in _READ:
                    small.setdefault(kind, []).append((key, size))
                else:
                    self.unknown.append(f"{key.decode(errors='replace')} ({kind})")
            for kind, keys in small.items():
                for batch in _batches(keys):
                    yield from _whole(self.client, batch, kind)
        # Last, so that they know of every job that was read; one that they know of too much is harmless.
        for key, kind in indexes:
            yield from _parts(self.client, key, kind)

    def _count(self, key: bytes) -> None:
        self.counts["keys"] += 1
        self.counts["jobs"] += key.startswith(JOBS)
        self.counts["models"] += key.startswith(ALIASES)


def _is_left_out(key: bytes) -> bool:
    return key in LEFT_OUT or key.startswith(LEFT_OUT_PREFIXES)


def pages(scan: Any, *args: Any, **kwargs: Any) -> Iterator[list[Any]]:
    """Every element that is there all the time, perhaps twice: that is SCAN's word."""
    cursor = 0
    while True:
        cursor, page = translated(scan, *args, cursor=cursor, count=SCAN_COUNT, **kwargs)
        yield page
        if cursor == 0:
            return


def _kinds(keys: list[bytes], client: redis.Redis) -> list[tuple[bytes, str, int]]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
        pipe.memory_usage(key, samples=0)
    answers = translated(pipe.execute) if keys else []
    sized = zip(keys, answers[::2], answers[1::2], strict=True)
    return [(key, kind.decode(), size) for key, kind, size in sized if size is not None]


def _batches(keys: list[tuple[bytes, int]]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    total = 0
    for key, size in keys:
        if batch and (total + size > AT_ONCE_BYTES or len(batch) == MOST_AT_ONCE):
            yield batch
            batch, total = [], 0
        batch.append(key)
        total += size
    if batch:
        yield batch


def _whole(client: redis.Redis, keys: list[bytes], kind: str) -> Iterator[Record]:
    # MULTI: a job that ends between the two reads would come back as running and with an end.
    pipe: Any = client.pipeline(transaction=True)
    for key in keys:
        _READ[kind](pipe, key)
        pipe.pexpiretime(key)
    answers = translated(pipe.execute)
    for key, content, expires_ms in zip(keys, answers[::2], answers[1::2], strict=True):
        if content is None or expires_ms == -2:  # gone since the scan
            continue
        parts = [content] if kind == "string" else content
        flat = [part for pair in content.items() for part in pair] if kind == "hash" else parts
        yield Record(to_value(key), kind, [to_value(part) for part in flat], expires_ms if expires_ms >= 0 else None)


def _parts(client: redis.Redis, key: bytes, kind: str) -> Iterator[Record]:
    expires_ms = translated(client.pexpiretime, key)
    for page in pages(getattr(client, _SCANNED[kind]), key):
        flat = [part for member, score in page for part in (repr(score).encode(), member)] if kind == "zset" else page
        if flat:
            values = [to_value(part) for part in flat]
            yield Record(to_value(key), kind, values, expires_ms if expires_ms >= 0 else None)
