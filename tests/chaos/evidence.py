"""What can be found when everything is quiet: jobs read twice, versions, promotions, keys, folders, memory.

Gathered here and judged in `checks`, so that the checks can be given evidence that was doctored.
"""

import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.chaos.cluster import Cluster
from tests.chaos.gateway import Gateway
from tests.chaos.history import Body, History
from tests.chaos.recovery import Recovery

BETWEEN_READS_S = 3.0
RECORDS = ("qc:job:", "qc:jobs", "qc:gone:", "qc:idempotency:", "qc:alias", "qc:audit", "qc:dead", "qc:waits:")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of Redis, with what of it is worth telling."""

    name: str
    type: str
    ttl_s: float | None
    size_bytes: int
    content: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """A published folder, by its manifest."""

    model: str
    number: int
    job_id: str


@dataclass
class Evidence:
    history: History
    first: dict[str, Body | None] = field(default_factory=dict)
    """Job id -> its body when all was quiet; None where the gateway knows no such job."""
    second: dict[str, Body | None] = field(default_factory=dict)
    listed: list[Body] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    moves: dict[str, list[Body]] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    unfinished: list[str] = field(default_factory=list)
    rest_start_bytes: int = 0
    rest_end_bytes: int = 0
    recoveries: list[Recovery] = field(default_factory=list)
    lease_s: float = 30.0
    mishaps: list[str] = field(default_factory=list)
    """What kept the run itself from going on, such as a round that did not end."""


def gather(cluster: Cluster, evidence: Evidence) -> None:
    """Reads everything. Raises ConnectionError when the service does not answer although nothing is done to it."""
    with closing(Gateway(cluster.url, evidence.history)) as gateway:
        wanted = list(evidence.history.accepted())
        evidence.first = {job_id: _read(gateway, job_id) for job_id in wanted}
        read_at = time.monotonic()
        evidence.listed = gateway.pages("/v1/jobs")
        for folder in sorted((cluster.data / "models").iterdir()):
            evidence.moves[folder.name] = gateway.pages(f"/v1/models/{folder.name}/history")
        evidence.versions = versions(cluster.data / "models")
        evidence.unfinished = [str(path) for path in cluster.data.glob("**/.incoming-*")]
        time.sleep(max(0.0, read_at + BETWEEN_READS_S - time.monotonic()))
        evidence.second = {job_id: _read(gateway, job_id) for job_id in wanted}
        evidence.dead = _dead_letters(gateway)
    with cluster.connect() as client:
        evidence.keys = keys(client)
        evidence.rest_end_bytes = rest_bytes(client, evidence.keys)


def versions(models: Path) -> list[Version]:
    manifests = sorted(models.glob("*/[0-9]*/manifest.json"))
    found = ((path, json.loads(path.read_text())) for path in manifests)
    return [Version(path.parts[-3], int(path.parts[-2]), said["job_id"]) for path, said in found]


def keys(client: redis.Redis) -> list[Key]:
    """Every key there is, Celery's included."""
    found = []
    for raw in sorted(client.scan_iter(count=1000)):
        ttl_ms = int(client.pttl(raw))
        kind = client.type(raw).decode()
        size = int(client.memory_usage(raw, samples=0) or 0)
        ttl_s = ttl_ms / 1000 if ttl_ms >= 0 else None
        found.append(Key(raw.decode(errors="replace"), kind, ttl_s, size, _content(client, raw, kind)))
    return found


def rest_bytes(client: redis.Redis, found: list[Key]) -> int:
    """Redis's memory without the records that are meant to stay until their time is up."""
    used = int(client.info("memory")["used_memory"])
    return used - sum(key.size_bytes for key in found if key.name.startswith(RECORDS))


def _content(client: redis.Redis, raw: bytes, kind: str) -> str:
    """The first entries of a collection, for the report's reader."""
    reads: dict[str, Any] = {
        "zset": lambda: client.zrange(raw, 0, 4),
        "list": lambda: client.lrange(raw, 0, 1),
        "hash": lambda: client.hkeys(raw)[:5],
        "set": lambda: sorted(client.sscan(raw)[1])[:5],
        "stream": lambda: [client.xlen(raw)],
        "string": lambda: [client.getrange(raw, 0, 60)],
    }
    return " ".join(str(each)[:80] for each in reads.get(kind, list)())


def _read(gateway: Gateway, job_id: str) -> Body | None:
    """The job, None for 404 and 410. Raises ConnectionError when a quiet gateway does not answer."""
    asked_at = time.time()
    status, body = gateway.get(f"/v1/jobs/{job_id}")
    if status == 200:
        gateway.history.see(body, asked_at)
        return body
    if status in (404, 410):
        return None
    raise ConnectionError(f"GET /v1/jobs/{job_id} answered {status or 'nothing'}")


def _dead_letters(gateway: Gateway) -> set[str]:
    try:
        return {letter.get("id") or letter.get("job_id", "") for letter in gateway.pages("/v1/dead-letters")}
    except ConnectionError:
        return set()
