"""What the clients asked for and what they were told: the only thing that the checks believe in.

As in Jepsen, an order is invoked once and its answers are `ok` (accepted, with an id), `fail` (surely not accepted)
or `unknown` (no answer came). Nothing here knows how queuecast works inside.
"""

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]

FINAL = frozenset({"succeeded", "failed", "canceled", "expired"})
OK, FAIL, UNKNOWN = "ok", "fail", "unknown"


@dataclass(frozen=True, slots=True)
class Order:
    """One thing that a client wants done, under one Idempotency-Key, however often it is sent."""

    key: str
    type: str
    model: str
    method: str = ""
    rows: tuple[int, ...] = ()
    """Indices into the example's rows, so that the answer can be computed here."""
    is_canceled: bool = False
    may_expire: bool = False
    is_poisoned: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer to an order, or its absence."""

    key: str
    outcome: str
    at: float
    status: int = 0
    job_id: str = ""
    version: int | None = None
    is_replay: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job as somebody saw it. Between `asked_at` and `at` the gateway read it."""

    asked_at: float
    at: float
    state: str
    revision: int
    attempt: int
    result: str = ""


@dataclass(frozen=True, slots=True)
class Canceling:
    """The gateway's last word on a cancel."""

    job_id: str
    status: int
    state: str
    attempt: int


@dataclass
class History:
    """Written by all client threads at once."""

    orders: dict[str, Order] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    sightings: dict[str, list[Sighting]] = field(default_factory=dict)
    cancelings: list[Canceling] = field(default_factory=list)
    conflicts: list[tuple[str, int]] = field(default_factory=list)
    """Keys that were used for another body, with the status of the answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, order: Order) -> None:
        with self._lock:
            self.orders[order.key] = order

    def answer(
        self,
        order: Order,
        outcome: str,
        status: int = 0,
        body: Body | None = None,
        *,
        is_replay: bool = False,
        detail: str = "",
    ) -> None:
        found = body or {}
        version = (found.get("model") or {}).get("version") if order.type != "import" else None
        said = Answer(order.key, outcome, time.time(), status, found.get("id", ""), version, is_replay, detail)
        with self._lock:
            self.answers.append(said)

    def see(self, body: Body, asked_at: float) -> None:
        """Notes a job's body, unless it is what was seen last."""
        seen = Sighting(
            asked_at, time.time(), body["state"], body["revision"], body["attempt"], digest(body.get("result"))
        )
        with self._lock:
            known = self.sightings.setdefault(body["id"], [])
            if not known or _content(known[-1]) != _content(seen):
                known.append(seen)

    def canceled(self, job_id: str, status: int, body: Body) -> None:
        said = Canceling(job_id, status, body.get("state", ""), body.get("attempt", 0))
        with self._lock:
            self.cancelings.append(said)

    def conflicted(self, key: str, status: int) -> None:
        with self._lock:
            self.conflicts.append((key, status))

    def accepted(self) -> dict[str, Order]:
        """Job id -> the order that it was accepted for."""
        with self._lock:
            return {said.job_id: self.orders[said.key] for said in self.answers if said.outcome == OK}

    def open_jobs(self) -> list[str]:
        """Accepted jobs that nobody has seen ended yet."""
        accepted = self.accepted()
        with self._lock:
            ended = {job for job, seen in self.sightings.items() if any(each.state in FINAL for each in seen)}
        return [job for job in accepted if job not in ended]

    def size(self) -> int:
        with self._lock:
            return len(self.orders)


def outcome_of(answers: list[Answer]) -> str:
    """What is known of an order after all of its answers: one `ok` settles it, then any doubt."""
    outcomes = {said.outcome for said in answers}
    return next((each for each in (OK, UNKNOWN) if each in outcomes), FAIL)


def digest(result: Any) -> str:
    """Of a result, so that a changed one is noticed without keeping them all. Empty for none."""
    if result is None:
        return ""
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()


def _content(seen: Sighting) -> tuple[str, int, int, str]:
    return seen.state, seen.revision, seen.attempt, seen.result
