"""How long the service needs to recover from a fault. One definition for all kinds:

- A *canary* is a job for the queue that was hit (a one-row prediction, or a small import for the trainer), submitted
  right after the fault ended and repeated until it is accepted. The recovery time runs from the end of the fault
  until the canary has succeeded.
- Where processes were hit, the jobs that they held must be claimed by somebody else (or end) within
  lease + 5 s + the canary's recovery time, counted from the fault. The allowance is there because a job starts no
  sooner than its queue has a free worker: the other one may be busy with long work, and a trainer has to start anew.
  It is wider than the promise of lease + 5 s; the report counts as `late` what took longer than that.
"""

import re
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.gateway import Gateway
from tests.chaos.history import FINAL, Body
from tests.chaos.injection import Hit
from tests.chaos.load import Load
from tests.chaos.plan import REAPER_S, RECOVERY_LIMIT_S

POLL_S = 0.05


@dataclass
class Recovery:
    """A fault and what came after it."""

    hit: Hit
    canary: str = ""
    canary_s: float | None = None
    """None until the canary has succeeded."""
    rerun_s: list[float] = field(default_factory=list)


def watch_recovery(url: str, load: Load, hit: Hit, number: int) -> tuple[Recovery, threading.Thread]:
    """Sends the canary from a thread of its own, which ends by itself after RECOVERY_LIMIT_S."""
    recovery = Recovery(hit)
    thread = threading.Thread(target=_send_canary, args=(url, load, recovery, number), daemon=True)
    thread.start()
    return recovery, thread


def _send_canary(url: str, load: Load, recovery: Recovery, number: int) -> None:
    orders = load.orders(f"canary{number}")
    order, request = orders.importing() if recovery.hit.queue == "train" else orders.prediction("titanic", 1, "predict")
    deadline = time.monotonic() + RECOVERY_LIMIT_S
    with closing(Gateway(url, load.history)) as gateway:
        recovery.canary = gateway.submit(order, request, RECOVERY_LIMIT_S) or ""
        while recovery.canary and time.monotonic() < deadline:
            body = gateway.see(recovery.canary) or {}
            if body.get("state") == "succeeded":
                recovery.canary_s = time.time() - recovery.hit.ended_at
            if body.get("state") in FINAL:
                return
            time.sleep(POLL_S)


def note_reruns(recoveries: Iterable[Recovery], jobs: Iterable[Body]) -> None:
    """Reads from the timelines how long the jobs of each killed process waited for their next run."""
    bodies = list(jobs)
    for recovery in recoveries:
        if recovery.hit.is_kill:
            waits = (rerun_s(body, recovery.hit) for body in bodies)
            recovery.rerun_s = [wait_s for wait_s in waits if wait_s is not None]


def rerun_s(body: Body, hit: Hit) -> float | None:
    """Seconds from a kill until a job that the victim held was claimed again or had ended; None for other jobs."""
    events = body.get("timeline") or []
    before = [event for event in events if seconds(event["at"]) <= hit.began_at]
    claim = next((event for event in reversed(before) if event["event"] == "claimed"), None)
    if claim is None or not _is_by(claim, hit.victims):
        return None
    if any(event["event"] in ("lost", "given_back", "retried", "finished") for event in before[before.index(claim) :]):
        return None
    # What the victim could still write before it died is in the timeline within the same moment.
    after = (event for event in events[len(before) :] if event["event"] in ("claimed", "finished"))
    moved = next(after, None)
    return None if moved is None else seconds(moved["at"]) - hit.began_at


def rerun_limit_s(recovery: Recovery, lease_s: float) -> float:
    return lease_s + REAPER_S + (recovery.canary_s or 0.0)


def seconds(at: Any) -> float:
    """A time of the API, RFC 3339 or seconds since the epoch."""
    return float(at) if isinstance(at, int | float) else datetime.fromisoformat(at).timestamp()


def _is_by(claim: Body, victims: tuple[str, ...]) -> bool:
    """Whether a worker's name, such as `host:1234` or `worker1@host`, has a victim's name or pid as a part."""
    return not set(re.split(r"[^A-Za-z0-9]+", str(claim.get("worker") or ""))).isdisjoint(victims)
