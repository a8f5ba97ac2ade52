"""The evidence of an idle service: jobs read twice, versions, promotions, keys, folders, and memory.

It is gathered here and judged in `checks`, so that tests can pass altered evidence to the checks.
"""

import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.chaos.cluster import Cluster
from tests.chaos.history import Body, History
from tests.chaos.recording_client import RecordingClient
from tests.chaos.recovery import Recovery

BETWEEN_READS_S = 3.0
RETAINED_KEYS = ("qc:job:", "qc:jobs", "qc:gone:", "qc:idempotency:", "qc:alias", "qc:audit", "qc:dead", "qc:waits:")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of Redis, with the details that a report needs."""

    name: str
    type: str
    ttl_s: float | None
    size_bytes: int
    content: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A published version, from its manifest."""

    model: str
    number: int
    job_id: str


@dataclass
class Evidence:
    history: History
    first_read: dict[str, Body | None] = field(default_factory=dict)
    """Job id -> its body in the idle service; None if the gateway does not know the job."""
    second_read: dict[str, Body | None] = field(default_factory=dict)
    listed: list[Body] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    moves: dict[str, list[Body]] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    dead_letters: set[str] = field(default_factory=set)
    unfinished: list[str] = field(default_factory=list)
    start_memory_bytes: int = 0
    end_memory_bytes: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    lease_s: float = 30.0
    harness_errors: list[str] = field(default_factory=list)
    """Errors of the run itself, such as a round that did not end."""


def gather(cluster: Cluster, evidence: Evidence) -> None:
    """Reads everything. Raises ConnectionError if the service does not answer although no fault is active."""
    with closing(RecordingClient(cluster.url, evidence.history)) as client:
        wanted = list(evidence.history.accepted())
        evidence.first_read = {job_id: _read(client, job_id) for job_id in wanted}
        read_at = time.monotonic()
        evidence.listed = client.pages("/v1/jobs")
        for folder in sorted((cluster.data / "models").iterdir()):
            evidence.moves[folder.name] = client.pages(f"/v1/models/{folder.name}/history")
        evidence.versions = versions(cluster.data / "models")
        evidence.unfinished = [str(path) for path in cluster.data.glob("**/.incoming-*")]
        time.sleep(max(0.0, read_at + BETWEEN_READS_S - time.monotonic()))
        evidence.second_read = {job_id: _read(client, job_id) for job_id in wanted}
        evidence.dead_letters = _list_dead_letters(client)
    with cluster.connect() as redis_client:
        evidence.keys = keys(redis_client)
        evidence.end_memory_bytes = memory_without_records(redis_client, evidence.keys)


def versions(models: Path) -> list[Version]:
    manifests = sorted(models.glob("*/[0-9]*/manifest.json"))
    contents = ((path, json.loads(path.read_text())) for path in manifests)
    return [Version(path.parts[-3], int(path.parts[-2]), manifest["job_id"]) for path, manifest in contents]


def keys(redis_client: redis.Redis) -> list[Key]:
    """All keys, including Celery's."""
    found = []
    for raw in sorted(redis_client.scan_iter(count=1000)):
        ttl_ms = int(redis_client.pttl(raw))
        kind = redis_client.type(raw).decode()
        size = int(redis_client.memory_usage(raw, samples=0) or 0)
        ttl_s = ttl_ms / 1000 if ttl_ms >= 0 else None
        found.append(Key(raw.decode(errors="replace"), kind, ttl_s, size, _content(redis_client, raw, kind)))
    return found


def memory_without_records(redis_client: redis.Redis, found: list[Key]) -> int:
    """The memory that Redis uses, without the records that stay until their retention ends."""
    used = int(redis_client.info("memory")["used_memory"])
    return used - sum(key.size_bytes for key in found if key.name.startswith(RETAINED_KEYS))


def _content(redis_client: redis.Redis, raw: bytes, kind: str) -> str:
    """The first entries of a collection, for the report."""
    reads: dict[str, Any] = {
        "zset": lambda: redis_client.zrange(raw, 0, 4),
        "list": lambda: redis_client.lrange(raw, 0, 1),
        "hash": lambda: redis_client.hkeys(raw)[:5],
        "set": lambda: sorted(redis_client.sscan(raw)[1])[:5],
        "stream": lambda: [redis_client.xlen(raw)],
        "string": lambda: [redis_client.getrange(raw, 0, 60)],
    }
    return " ".join(str(entry)[:80] for entry in reads.get(kind, list)())


def _read(client: RecordingClient, job_id: str) -> Body | None:
    """The job, or None for 404 and 410. Raises ConnectionError if the gateway does not answer."""
    asked_at = time.time()
    status, body = client.get(f"/v1/jobs/{job_id}")
    if status == 200:
        client.history.record_sighting(body, asked_at)
        return body
    if status in (404, 410):
        return None
    raise ConnectionError(f"GET /v1/jobs/{job_id} answered {status or 'nothing'}")


def _list_dead_letters(client: RecordingClient) -> set[str]:
    try:
        return {letter.get("id") or letter.get("job_id", "") for letter in client.pages("/v1/dead-letters")}
    except ConnectionError:
        return set()
