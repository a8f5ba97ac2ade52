"""Every key of a quiet Redis has an owner, every folder is whole, and memory is back where it was."""

import re
from collections.abc import Iterator

from queuecast.adapters.celery.settings import lists_of
from tests.chaos.evidence import Evidence, Key
from tests.chaos.plan import MEMORY_BOUND_BYTES

PRESENCE = {"qc:jobs", "qc:audit", "qc:workers", "qc:reaper", "qc:entries", "qc:attended", "qc:lingering"}
OVER = {  # what must be gone once no job is open, and why
    "qc:lane:": "a lane's stream is left",
    "qc:lanes": "lanes are noted as waiting",
    "qc:bells": "a lane's bell is noted as outstanding",
    "qc:entered": "a lane's jobs are counted",
    "qc:taken": "a lane's jobs are counted",
    "qc:delayed": "a retry is noted as due",
    "qc:batches": "a batch that has ended is still looked after",
    "qc:expiring": "a deadline is still watched",
    "qc:training:": "a model is locked for a training",
    "unacked": "Celery holds a message that nobody acknowledged",
    **dict.fromkeys((*lists_of("predict"), *lists_of("train")), "a doorbell was not answered"),
}
MUTEX = "unacked_mutex"  # kombu's lock around its own look for unacknowledged messages; it ends by itself


def leftovers(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is wrong and, where it belongs to a job, the job's id."""
    jobs = set(evidence.first) | {body["id"] for body in evidence.listed}
    for key in evidence.keys:
        if what := _unowned(key, evidence, jobs):
            yield f"{what}: {key.name} ({key.type}) {key.content}", _job_of(key)
    for path in evidence.unfinished:
        yield f"a half-written folder is left: {path}", ""
    grown = evidence.rest_end_bytes - evidence.rest_start_bytes
    if grown > MEMORY_BOUND_BYTES:
        yield f"Redis holds {grown / 2**20:.1f} MiB more than at the start, the jobs' records not counted", ""


def _unowned(key: Key, evidence: Evidence, jobs: set[str]) -> str:
    """Why nobody owns the key; empty when somebody does."""
    name = key.name
    for start, why in OVER.items():
        is_it = name == start or (start.endswith(":") and name.startswith(start))
        if is_it or (start == "unacked" and name.startswith(start) and name != MUTEX):
            return why
    if name.startswith("qc:job:chunk_"):
        return "" if key.ttl_s is not None else "the record of an ended chunk has no end"
    if name.startswith("qc:job:"):
        if name.removeprefix("qc:job:") not in jobs:
            return "a record of a job that nobody knows"
        return "" if key.ttl_s is not None else "the record of an ended job has no end"
    if name.startswith("qc:batch:"):
        return "" if key.ttl_s is not None else "the board of a batch has no end"
    if name.startswith("qc:gone:"):
        return "" if key.ttl_s is not None else "a tombstone has no end"
    if name.startswith("qc:idempotency:"):
        return "" if key.ttl_s is not None else "an Idempotency-Key is kept for ever"
    if name == "qc:dead":
        return "" if evidence.dead else "there are dead letters that the API does not show"
    if alias := re.fullmatch(r"qc:alias(?:es|-history):(.+)", name):
        return "" if alias[1] in evidence.moves else "aliases of a model that nobody pushed"
    if name in PRESENCE or name == MUTEX or name.startswith("_kombu.binding"):
        return ""
    return "a key without an owner"


def _job_of(key: Key) -> str:
    found = re.search(r"job_[0-9a-f-]{36}", f"{key.name} {key.content}")
    return found[0] if found else ""
