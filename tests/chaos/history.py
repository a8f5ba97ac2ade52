"""The requests of the clients and the answers they received: the checks trust nothing else.

As in Jepsen, a submit is recorded once, and its answers are `ok` (accepted, with an id), `fail` (definitely not
accepted) or `unknown` (no answer). This module does not know how queuecast works inside.
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
class Submit:
    """One job that a client wants, under one Idempotency-Key, no matter how often it is sent."""

    key: str
    type: str
    model: str
    method: str = ""
    rows: tuple[int, ...] = ()
    """Indices into the rows of the example, to compute the expected answer."""
    is_canceled: bool = False
    may_expire: bool = False
    is_poisoned: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer to a submit, or its absence."""

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
    """A job as a client read it. The gateway read it between `asked_at` and `at`."""

    asked_at: float
    at: float
    state: str
    revision: int
    attempt: int
    result: str = ""


@dataclass(frozen=True, slots=True)
class CancelAnswer:
    """The final answer of the gateway to a cancel."""

    job_id: str
    status: int
    state: str
    attempt: int


@dataclass
class History:
    """Written by all client threads at once."""

    submits: dict[str, Submit] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    sightings: dict[str, list[Sighting]] = field(default_factory=dict)
    cancel_answers: list[CancelAnswer] = field(default_factory=list)
    key_reuses: list[tuple[str, int]] = field(default_factory=list)
    """Keys that were reused for a different body, with the status of the answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record_submit(self, submit: Submit) -> None:
        with self._lock:
            self.submits[submit.key] = submit

    def record_answer(
        self,
        submit: Submit,
        outcome: str,
        status: int = 0,
        body: Body | None = None,
        *,
        is_replay: bool = False,
        detail: str = "",
    ) -> None:
        job = body or {}
        version = (job.get("model") or {}).get("version") if submit.type != "import" else None
        answer = Answer(submit.key, outcome, time.time(), status, job.get("id", ""), version, is_replay, detail)
        with self._lock:
            self.answers.append(answer)

    def record_sighting(self, body: Body, asked_at: float) -> None:
        """Records a job, unless it is unchanged since its last sighting."""
        seen = Sighting(
            asked_at, time.time(), body["state"], body["revision"], body["attempt"], digest(body.get("result"))
        )
        with self._lock:
            known = self.sightings.setdefault(body["id"], [])
            if not known or _content(known[-1]) != _content(seen):
                known.append(seen)

    def record_cancel(self, job_id: str, status: int, body: Body) -> None:
        answer = CancelAnswer(job_id, status, body.get("state", ""), body.get("attempt", 0))
        with self._lock:
            self.cancel_answers.append(answer)

    def record_key_reuse(self, key: str, status: int) -> None:
        with self._lock:
            self.key_reuses.append((key, status))

    def accepted(self) -> dict[str, Submit]:
        """Job id -> its submit."""
        with self._lock:
            return {answer.job_id: self.submits[answer.key] for answer in self.answers if answer.outcome == OK}

    def open_jobs(self) -> list[str]:
        """Accepted jobs that no client has seen in a final state yet."""
        accepted = self.accepted()
        with self._lock:
            ended = {job for job, sightings in self.sightings.items() if any(seen.state in FINAL for seen in sightings)}
        return [job for job in accepted if job not in ended]

    def size(self) -> int:
        with self._lock:
            return len(self.submits)


def outcome_of(answers: list[Answer]) -> str:
    """The outcome of a submit from all of its answers: `ok` outweighs `unknown`, which outweighs `fail`."""
    outcomes = {answer.outcome for answer in answers}
    return next((outcome for outcome in (OK, UNKNOWN) if outcome in outcomes), FAIL)


def digest(result: Any) -> str:
    """The digest of a result, to notice a change without keeping every result. Empty if there is no result."""
    if result is None:
        return ""
    return hashlib.sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()


def _content(seen: Sighting) -> tuple[str, int, int, str]:
    return seen.state, seen.revision, seen.attempt, seen.result
