"""In an idle service every key has an owner, every folder is complete, and memory is back at its start value."""

import re
from collections.abc import Iterator

from queuecast.adapters.celery.settings import lists_of
from tests.chaos.evidence import Evidence, Key
from tests.chaos.plan import MEMORY_BOUND_BYTES

PERMANENT_KEYS = {
    *("qc:jobs", "qc:audit", "qc:workers", "qc:loaded", "qc:reaper", "qc:entries", "qc:attended", "qc:lingering"),
    "qc:moves",
}
TRANSIENT_KEYS = {  # a key that must be gone once no job is open -> the violation if it is not
    "qc:lane:": "the stream of a lane is left",
    "qc:lanes": "lanes are still marked as waiting",
    "qc:bells": "a lane still has a bell",
    "qc:entered": "a lane's jobs are counted",
    "qc:taken": "a lane's jobs are counted",
    "qc:delayed": "a delayed retry is left",
    "qc:batches": "an ended batch is still scheduled",
    "qc:expiring": "a deadline is left",
    "qc:training:": "a model is still locked for a training",
    "unacked": "Celery holds an unacknowledged message",
    **dict.fromkeys((*lists_of("predict"), *lists_of("train")), "a doorbell message is left in its queue"),
}
MUTEX = "unacked_mutex"  # kombu's lock for restoring unacknowledged messages; it expires by itself


def leftovers(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Pairs of a violation and the id of its job, which is empty if there is none."""
    jobs = set(evidence.first_read) | {body["id"] for body in evidence.listed}
    for key in evidence.keys:
        if reason := _why_unowned(key, evidence, jobs):
            yield f"{reason}: {key.name} ({key.type}) {key.content}", _job_of(key)
    for path in evidence.unfinished:
        yield f"an incomplete folder is left: {path}", ""
    grown = evidence.end_memory_bytes - evidence.start_memory_bytes
    if grown > MEMORY_BOUND_BYTES:
        yield f"Redis holds {grown / 2**20:.1f} MiB more than at the start, not counting the records of jobs", ""


def _why_unowned(key: Key, evidence: Evidence, jobs: set[str]) -> str:
    """Why the key has no owner; empty if it has one."""
    name = key.name
    for start, why in TRANSIENT_KEYS.items():
        is_transient = name == start or (start.endswith(":") and name.startswith(start))
        if is_transient or (start == "unacked" and name.startswith(start) and name != MUTEX):
            return why
    if name.startswith("qc:job:chunk_"):
        return "" if key.ttl_s is not None else "the record of an ended chunk has no TTL"
    if name.startswith("qc:job:shadow_"):
        return "" if key.ttl_s is not None else "the record of an ended shadow job has no TTL"
    if name.startswith("qc:job:"):
        if name.removeprefix("qc:job:") not in jobs:
            return "a record of an unknown job"
        return "" if key.ttl_s is not None else "the record of an ended job has no TTL"
    if name.startswith("qc:batch:"):
        return "" if key.ttl_s is not None else "the progress of a batch has no TTL"
    if name.startswith("qc:gone:"):
        return "" if key.ttl_s is not None else "a tombstone has no TTL"
    if name.startswith("qc:idempotency:"):
        return "" if key.ttl_s is not None else "an Idempotency-Key has no TTL"
    if name.startswith("qc:champion-check:"):
        return "" if key.ttl_s is not None else "the check of a champion has no TTL"
    if name == "qc:dead":
        return "" if evidence.dead_letters else "the API does not list the dead letters"
    if alias := re.fullmatch(r"qc:alias(?:es|-history):(.+)", name):
        return "" if alias[1] in evidence.moves else "aliases of a model that was never pushed"
    if shadowed := re.fullmatch(r"qc:shadow(?:-counters)?:(.+)", name):
        return "" if shadowed[1] in evidence.moves else "the shadow of a model that was never pushed"
    if name in PERMANENT_KEYS or name == MUTEX or name.startswith("_kombu.binding"):
        return ""
    return "a key without an owner"


def _job_of(key: Key) -> str:
    match = re.search(r"job_[0-9a-f-]{36}", f"{key.name} {key.content}")
    return match[0] if match else ""
