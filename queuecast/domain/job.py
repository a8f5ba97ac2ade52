"""The life of a job: its states and every move between them.

A `Job` is a value; a move returns the next one with `revision + 1`. Stores compare revisions and write; they
know no rule. Times are seconds since the Unix epoch, handed in by the caller.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from queuecast.domain.errors import Finding, IllegalMoveError, InvalidInputError, QueuecastError


class JobType(StrEnum):
    PREDICTION = "prediction"
    TRAINING = "training"
    IMPORT = "import"
    BATCH = "batch"
    CHUNK = "chunk"
    """A part of a batch; it is in no listing, and its end is the batch's business."""


class Priority(StrEnum):
    """Which of the jobs that wait for a worker go first. Those of one priority and lane go in their order."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FINAL_STATES = frozenset({State.CANCELED, State.EXPIRED, State.SUCCEEDED, State.FAILED})
CHUNK_RETENTION_S = 600.0  # nobody asks for a chunk; its batch's board has what came of it
MAX_EVENTS = 64  # a job that is handed back at every deploy for weeks must not grow without end


class Event(StrEnum):
    """What a timeline tells."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    LOST = "lost"
    GIVEN_BACK = "given_back"
    RETRIED = "retried"
    CANCELING = "canceling"
    FANNED_OUT = "fanned_out"
    GATHERED = "gathered"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One entry of a job's timeline."""

    event: Event
    at: float
    attempt: int = 0
    worker: str | None = None
    detail: str = ""


def accepted_at(now: float, detail: str = "") -> dict[str, Any]:
    """What `Job.accepted` adds. To make a job with it at once takes half the time."""
    return {"queued_at": now, "timeline": (TimelineEntry(Event.ACCEPTED, now, detail=detail),)}


@dataclass(frozen=True, slots=True)
class ModelRef:
    """What a job runs on. An import has no version yet: it makes one."""

    name: str
    version: int | None = None
    alias: str | None = None
    sha256: str | None = None

    @property
    def pinned_version(self) -> int:
        """The version to run on. Raises InvalidInputError for work that makes one instead."""
        if self.version is None:
            raise InvalidInputError(f"no version of {self.name} is pinned")
        return self.version


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` in `unit`; a training counts stages, and says which it is in and with how many rows.

    A batch counts rows, and how many of those that are done were bad.
    """

    done: int
    total: int
    unit: str
    stage: str | None = None
    rows: int | None = None
    errors: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job ended in `failed`: the parts of a problem document that do not depend on HTTP."""

    code: str
    detail: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    id: str
    type: JobType
    model: ModelRef
    created_at: float
    max_attempts: int
    lane: str
    """Where it waits; see `queuecast.domain.lane`."""
    timeout_s: float
    """How long one run may take. A run that takes longer is ended, and the job fails."""
    state: State = State.QUEUED
    revision: int = 1
    attempt: int = 0
    """How many times a run was started. It is the fence: a run may only write while its number is here."""
    lost_attempts: int = 0
    """How many of those ended without an answer and through no wish of ours. Being handed back does not count."""
    runs_alone: bool = False
    """A run of it ended with its process or was given up. Whether it was to blame is not known: others were in the same
    call. So from then on it is run by itself, and can take nobody with it."""
    priority: Priority = Priority.NORMAL
    queued_at: float | None = None
    not_before: float | None = None
    """A job that waits out its backoff is not in its lane before then."""
    worker: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    """A job that has not started by then is not worth starting."""
    delete_at: float | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    is_dead_letter: bool = False
    """It failed because its attempts were used up: nobody knows whether another would go through."""
    retry_of: str | None = None
    parent: str | None = None
    """The batch that a chunk is a part of."""
    is_fanned_out: bool = False
    """It runs as its chunks: no worker holds it, and it is in no lane."""
    metadata: dict[str, Any] = field(default_factory=dict)
    timeline: tuple[TimelineEntry, ...] = ()

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def is_batchable(self) -> bool:
        """Whether its rows may go into one call with those of other jobs."""
        return self.type is JobType.PREDICTION and not self.runs_alone

    def queued_ms(self, now: float) -> float:
        """How long it waited for its run, or has waited. Never below 0: the clocks of two machines differ a little."""
        started_at = now if self.started_at is None else self.started_at
        return round(max(started_at - self.created_at, 0.0) * 1000, 3)

    def is_run_by(self, attempt: int) -> bool:
        """Whether run number `attempt` still owns this job (it may have been asked to stop)."""
        return self.attempt == attempt and self.state in (State.RUNNING, State.CANCELING)

    def accepted(self) -> "Job":
        """The job as it is first written."""
        detail = "" if self.retry_of is None else f"retry of {self.retry_of}"
        return replace(self, **accepted_at(self.created_at, detail))

    def claimed(self, worker: str, now: float) -> "Job":
        self._require("be claimed", State.QUEUED)
        # A batch is claimed to be cut and again to be joined, and all between is its run.
        started_at = now if self.type is not JobType.BATCH or self.started_at is None else self.started_at
        attempt = self.attempt + 1
        return self._moved(
            State.RUNNING,
            attempt=attempt,
            worker=worker,
            started_at=started_at,
            not_before=None,
            progress=None,
            timeline=self._timeline_with(TimelineEntry(Event.CLAIMED, now, attempt, worker)),
        )

    def fanned_out(self, progress: Progress, now: float) -> "Job":
        """The run has cut its batch in chunks and is over; the batch goes on running as those, held by nobody."""
        self._require("be fanned out", State.RUNNING)
        if self.is_fanned_out:
            raise IllegalMoveError(f"job {self.id} is fanned out already")
        told = self._told(Event.FANNED_OUT, now)
        return told._moved(State.RUNNING, worker=None, progress=progress, is_fanned_out=True)

    def gathered(self, now: float) -> "Job":
        """All of its chunks are done: it waits for a worker to join them."""
        self._require_fanned_out("be gathered")
        return self._told(Event.GATHERED, now)._moved(State.QUEUED, queued_at=now, is_fanned_out=False)

    def given_up(self, failure: Failure, now: float, retention_s: float) -> "Job":
        """A chunk of it was lost in its last attempt too, so the batch is the dead letter."""
        self._require_fanned_out("be given up")
        return replace(self._ended(State.FAILED, now, retention_s, failure=failure), is_dead_letter=True)

    def expired(self, now: float, retention_s: float) -> "Job":
        self._require("expire", State.QUEUED)
        return self._ended(State.EXPIRED, now, retention_s)

    def is_due_to_expire(self, now: float) -> bool:
        """Whether its start deadline passed before any run was started. A job that is retried was on time."""
        is_waiting = self.state is State.QUEUED and self.attempt == 0
        return is_waiting and self.expires_at is not None and now >= self.expires_at

    def progressed(self, progress: Progress) -> "Job":
        self._require("report progress", State.RUNNING)
        return self._moved(State.RUNNING, progress=progress)

    def succeeded(self, now: float, retention_s: float) -> "Job":
        self._require("succeed", State.RUNNING)
        whole = None if self.progress is None else replace(self.progress, done=self.progress.total)
        return self._ended(State.SUCCEEDED, now, retention_s, progress=whole)

    def failed(self, failure: Failure, now: float, retention_s: float) -> "Job":
        self._require("fail", State.RUNNING)
        return self._ended(State.FAILED, now, retention_s, failure=failure)

    def lost(self, failure: Failure, now: float, delay_s: float, retention_s: float) -> "Job":
        """The run ended without an answer: once more after `delay_s`, or a dead letter when that was the last attempt.

        failure: what is known of it, and what the job fails with at last. A job that was asked to stop has stopped.
        """
        self._require("be lost", State.RUNNING, State.CANCELING)
        if self.state is State.CANCELING:
            return self.stopped(now, retention_s)
        counted = replace(self, lost_attempts=self.lost_attempts + 1, runs_alone=True)
        told = counted._told(Event.LOST, now, failure.detail)
        if told.lost_attempts >= self.max_attempts:
            ended = told._ended(State.FAILED, now, retention_s, failure=failure)
            return replace(ended, is_dead_letter=self.parent is None)
        waiting = told._moved(State.QUEUED, worker=None, queued_at=now, not_before=now + delay_s)
        return waiting._told(Event.RETRIED, now, f"after {delay_s:.1f} s")

    def given_back(self, now: float, retention_s: float, *, runs_alone: bool = False) -> "Job":
        """A worker that stops hands its job back, to be run at once by another; no attempt is used up.

        runs_alone: it was in a call that hung, and may be why.
        """
        self._require("be given back", State.RUNNING, State.CANCELING)
        if self.state is State.CANCELING:
            return self.stopped(now, retention_s)
        told = self._told(Event.GIVEN_BACK, now)
        return told._moved(State.QUEUED, worker=None, queued_at=now, runs_alone=self.runs_alone or runs_alone)

    def cancel_requested(self, now: float, retention_s: float) -> "Job":
        """Cancels at once what no worker runs; asks a running one to stop. Asking twice changes nothing."""
        if self.state in (State.CANCELING, State.CANCELED):
            return self
        self._require("be canceled", State.QUEUED, State.RUNNING)
        if self.state is State.QUEUED or self.is_fanned_out:
            return self._ended(State.CANCELED, now, retention_s)
        return self._moved(State.CANCELING)._told(Event.CANCELING, now)

    def stopped(self, now: float, retention_s: float) -> "Job":
        """The run noticed that it was asked to stop, and did."""
        self._require("stop", State.CANCELING)
        return self._ended(State.CANCELED, now, retention_s)

    def retried_as(self, job_id: str, now: float, max_attempts: int) -> "Job":
        """A new job that asks for the same work on the same version. A job that succeeded has its answer."""
        self._require("be retried", State.FAILED, State.CANCELED, State.EXPIRED)
        return Job(
            id=job_id,
            type=self.type,
            model=self.model,
            created_at=now,
            max_attempts=max_attempts,
            lane=self.lane,
            timeout_s=self.timeout_s,
            runs_alone=self.runs_alone,
            priority=self.priority,
            retry_of=self.id,
            metadata=self.metadata,
        ).accepted()

    def _require(self, move: str, *allowed: State) -> None:
        if self.state not in allowed:
            wanted = " or ".join(allowed)
            raise IllegalMoveError(f"job {self.id} is {self.state} and cannot {move}; that takes {wanted}")

    def _require_fanned_out(self, move: str) -> None:
        self._require(move, State.RUNNING)
        if not self.is_fanned_out:
            raise IllegalMoveError(f"job {self.id} is not fanned out and cannot {move}")

    def _moved(self, state: State, **changes: Any) -> "Job":
        return replace(self, state=state, revision=self.revision + 1, **changes)

    def _ended(
        self, state: State, now: float, retention_s: float, failure: Failure | None = None, **changes: Any
    ) -> "Job":
        detail = state if failure is None else f"{state}: {failure.code}"
        return self._moved(
            state,
            finished_at=now,
            delete_at=now + (retention_s if self.parent is None else CHUNK_RETENTION_S),
            not_before=None,
            is_fanned_out=False,
            failure=failure,
            timeline=self._timeline_with(TimelineEntry(Event.FINISHED, now, self.attempt, self.worker, detail)),
            **changes,
        )

    def _told(self, event: Event, at: float, detail: str = "") -> "Job":
        return replace(self, timeline=self._timeline_with(TimelineEntry(event, at, self.attempt, self.worker, detail)))

    def _timeline_with(self, moment: TimelineEntry) -> tuple[TimelineEntry, ...]:
        return (*self.timeline[:1], *self.timeline[1:][-(MAX_EVENTS - 2) :], moment)


def failure_of(error: QueuecastError) -> Failure:
    return Failure(error.code, error.detail, error.findings)
