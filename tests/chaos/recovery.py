"""How long the service needs to recover from a fault. One definition applies to all kinds:

- A *canary* is a job for the affected queue (a one-row prediction, or a small import for the trainer). It is
  submitted right after the fault and repeated until it is accepted. The recovery time is the time from the end of
  the fault until the canary succeeds.
- If processes were killed, another worker must claim their jobs (or the jobs must end) within lease + 5 s + the
  recovery time of the canary, measured from the fault. The allowance covers the wait for a free worker: the other
  worker may be busy with long work, and a trainer has to restart. The limit is wider than the promise of
  lease + 5 s; the report counts the jobs that took longer than the promise as `late`.
"""

import re
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.chaos.history import FINAL, Body
from tests.chaos.injection import InjectedFault
from tests.chaos.load import Load
from tests.chaos.plan import REAPER_S, RECOVERY_LIMIT_S
from tests.chaos.recording_client import RecordingClient

POLL_S = 0.05


@dataclass
class Recovery:
    """A fault and the recovery from it."""

    fault: InjectedFault
    canary: str = ""
    canary_s: float | None = None
    """None until the canary succeeds."""
    rerun_s: list[float] = field(default_factory=list)


def watch_recovery(url: str, load: Load, fault: InjectedFault, number: int) -> tuple[Recovery, threading.Thread]:
    """Sends the canary from a separate thread, which ends after RECOVERY_LIMIT_S at the latest."""
    recovery = Recovery(fault)
    thread = threading.Thread(target=_send_canary, args=(url, load, recovery, number), daemon=True)
    thread.start()
    return recovery, thread


def _send_canary(url: str, load: Load, recovery: Recovery, number: int) -> None:
    submits = load.submits(f"canary{number}")
    submit, request = (
        submits.importing() if recovery.fault.queue == "train" else submits.prediction("titanic", 1, "predict")
    )
    deadline = time.monotonic() + RECOVERY_LIMIT_S
    with closing(RecordingClient(url, load.history)) as client:
        recovery.canary = client.submit(submit, request, RECOVERY_LIMIT_S) or ""
        while recovery.canary and time.monotonic() < deadline:
            body = client.read_job(recovery.canary) or {}
            if body.get("state") == "succeeded":
                recovery.canary_s = time.time() - recovery.fault.ended_at
            if body.get("state") in FINAL:
                return
            time.sleep(POLL_S)


def record_reruns(recoveries: Iterable[Recovery], jobs: Iterable[Body]) -> None:
    """Records how long the jobs of each killed process waited for their next run, from the timelines."""
    bodies = list(jobs)
    for recovery in recoveries:
        if recovery.fault.is_kill:
            waits = (rerun_s(body, recovery.fault) for body in bodies)
            recovery.rerun_s = [wait_s for wait_s in waits if wait_s is not None]


def rerun_s(body: Body, fault: InjectedFault) -> float | None:
    """Seconds from a kill until a job of the victim was claimed again or ended; None for all other jobs."""
    events = body.get("timeline") or []
    before = [event for event in events if seconds(event["at"]) <= fault.began_at]
    claim = next((event for event in reversed(before) if event["event"] == "claimed"), None)
    if claim is None or not _is_by_victim(claim, fault.victims):
        return None
    if any(event["event"] in ("lost", "given_back", "retried", "finished") for event in before[before.index(claim) :]):
        return None
    # The first claim or end after the kill. An event that the victim could still write comes at almost the same time.
    after = (event for event in events[len(before) :] if event["event"] in ("claimed", "finished"))
    moved = next(after, None)
    return None if moved is None else seconds(moved["at"]) - fault.began_at


def rerun_limit_s(recovery: Recovery, lease_s: float) -> float:
    return lease_s + REAPER_S + (recovery.canary_s or 0.0)


def seconds(at: Any) -> float:
    """Converts a time of the API, in RFC 3339 or seconds since the epoch."""
    return float(at) if isinstance(at, int | float) else datetime.fromisoformat(at).timestamp()


def _is_by_victim(claim: Body, victims: tuple[str, ...]) -> bool:
    """Whether a worker's name, such as `host:1234` or `worker1@host`, contains the name or pid of a victim."""
    return not set(re.split(r"[^A-Za-z0-9]+", str(claim.get("worker") or ""))).isdisjoint(victims)
