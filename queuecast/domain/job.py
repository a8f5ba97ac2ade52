"""The life of a job: its states and every move between them.

A `Job` is a value; a move returns the next one with `revision + 1`. Stores compare revisions and write; they know no
rules. Times are seconds since the Unix epoch, passed in by the caller.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.errors import Failure, IllegalMoveError, InvalidInputError
from queuecast.domain.timeline import Event, TimelineEntry, accepted_at, with_entry


class JobType(StrEnum):
    PREDICTION = "prediction"
    TRAINING = "training"
    IMPORT = "import"
    BATCH = "batch"
    EVALUATION = "evaluation"
    CHUNK = "chunk"
    """A part of a batch. It is in no listing; only the batch reads its outcome."""


class Priority(StrEnum):
    """Which waiting jobs run first. Jobs of one priority and lane run in the order of their arrival."""

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
CHUNK_RETENTION_S = 600.0  # no caller asks for a job with a parent: its outcome is counted elsewhere


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model version a job runs on. An import has none yet: it creates one."""

    name: str
    version: int | None = None
    alias: str | None = None
    sha256: str | None = None

    @property
    def pinned_version(self) -> int:
        """The version to run on. Raises InvalidInputError for an import."""
        if self.version is None:
            raise InvalidInputError(f"no version of {self.name} is pinned")
        return self.version


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` in `unit`.

    A training counts stages, names the current one and gives its number of rows. A batch counts rows, and the bad ones
    among the rows that are done; until its file is cut, it counts bytes of the file.
    """

    done: int
    total: int
    unit: str
    stage: str | None = None
    rows: int | None = None
    errors: int | None = None


@dataclass(frozen=True)  # without slots, so that `changed` can copy all fields at once
class Job:
    id: str
    type: JobType
    model: ModelRef
    created_at: float
    max_attempts: int
    lane: str
    """The name of the lane it waits in; see `queuecast.domain.lane`."""
    timeout_s: float
    """How long one run may take. A run that takes longer is ended, and the job fails."""
    state: State = State.QUEUED
    revision: int = 1
    attempt: int = 0
    """How many runs were started. This is the fence: a run may write only while this is its own number."""
    lost_attempts: int = 0
    """How many of those runs were lost with their worker or to an outage. Handing a job back does not count."""
    runs_alone: bool = False
    """An earlier run died with its process or hung. Other jobs were in the same call, so this one may not be the cause,
    but from then on it runs in a call of its own, where it can harm no other job."""
    priority: Priority = Priority.NORMAL
    queued_at: float | None = None
    not_before: float | None = None
    """When a backoff ends; until then the job is not in its lane."""
    worker: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    """The start deadline: a job that has not started by then expires."""
    delete_at: float | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    is_dead_letter: bool = False
    """It failed because its attempts were used up; another attempt might succeed."""
    retry_of: str | None = None
    parent: str | None = None
    """The id of a chunk's batch, or of the job that a shadow's job answers again. No caller sees such a job."""
    is_fanned_out: bool = False
    """A batch whose chunks are running: no worker holds it, and it is in no lane."""
    metadata: dict[str, Any] = field(default_factory=dict)
    ignored_columns: IgnoredColumns | None = None
    timeline: tuple[TimelineEntry, ...] = ()

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def can_share_a_call(self) -> bool:
        """Whether its rows may go into one call with those of other jobs."""
        return self.type is JobType.PREDICTION and not self.runs_alone

    def queued_ms(self, now: float) -> float:
        """How long it waited for its run, or has waited. Never below 0: the clocks of two machines differ a little."""
        started_at = now if self.started_at is None else self.started_at
        return round(max(started_at - self.created_at, 0.0) * 1000, 3)

    def is_run_by(self, attempt: int) -> bool:
        """Whether run number `attempt` still owns this job (it may have been asked to stop)."""
        return self.attempt == attempt and self.state in (State.RUNNING, State.CANCELING)

    def changed(self, **changes: Any) -> "Job":
        """A copy with other values; `dataclasses.replace` takes six times as long (docs/performance.md)."""
        changed = object.__new__(Job)
        changed.__dict__.update(self.__dict__, **changes)
        return changed

    def accepted(self) -> "Job":
        """The job as it is first written."""
        detail = "" if self.retry_of is None else f"retry of {self.retry_of}"
        return self.changed(**accepted_at(self.created_at, detail))

    def claimed(self, worker: str, now: float) -> "Job":
        self._require("be claimed", State.QUEUED)
        # A batch is claimed once to be planned and once to be joined; its run lasts from the first claim to the end.
        started_at = now if self.type is not JobType.BATCH or self.started_at is None else self.started_at
        attempt = self.attempt + 1
        return self._moved(
            State.RUNNING,
            attempt=attempt,
            worker=worker,
            started_at=started_at,
            not_before=None,
            progress=self.progress if self.attempt == 0 else None,  # a batch is accepted with the size of its file
            timeline=with_entry(self.timeline, TimelineEntry(Event.CLAIMED, now, attempt, worker)),
        )

    def fanned_out(self, progress: Progress, now: float) -> "Job":
        """The planning run is over. The batch stays in `running` while its chunks run, and no worker holds it."""
        self._require("be fanned out", State.RUNNING)
        if self.is_fanned_out:
            raise IllegalMoveError(f"job {self.id} is fanned out already")
        noted = self._with_event(Event.FANNED_OUT, now)
        return noted._moved(State.RUNNING, worker=None, progress=progress, is_fanned_out=True)

    def ready_to_join(self, now: float) -> "Job":
        """All chunks are done: the batch waits for a worker to join them."""
        self._require_fanned_out("be joined")
        return self._with_event(Event.READY_TO_JOIN, now)._moved(State.QUEUED, queued_at=now, is_fanned_out=False)

    def given_up(self, failure: Failure, now: float, retention_s: float) -> "Job":
        """A chunk used up its attempts, so the batch becomes a dead letter."""
        self._require_fanned_out("be given up")
        return self._ended(State.FAILED, now, retention_s, failure=failure, is_dead_letter=True)

    def expired(self, now: float, retention_s: float) -> "Job":
        self._require("expire", State.QUEUED)
        return self._ended(State.EXPIRED, now, retention_s)

    def is_due_to_expire(self, now: float) -> bool:
        """Whether the start deadline passed before the first run. A job that is retried met its deadline."""
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
        """The run ended without an outcome: retry after `delay_s`, or fail as a dead letter after the last attempt.

        failure: the known cause, and the failure of the dead letter. A job that was being canceled is canceled.
        """
        self._require("be lost", State.RUNNING, State.CANCELING)
        if self.state is State.CANCELING:
            return self.stopped(now, retention_s)
        counted = self.changed(lost_attempts=self.lost_attempts + 1, runs_alone=True)
        lost = counted._with_event(Event.LOST, now, failure.detail)
        if lost.lost_attempts >= self.max_attempts:
            return lost._ended(State.FAILED, now, retention_s, failure=failure, is_dead_letter=self.parent is None)
        waiting = lost._moved(State.QUEUED, worker=None, queued_at=now, not_before=now + delay_s)
        return waiting._with_event(Event.RETRIED, now, f"after {delay_s:.1f} s")

    def handed_back(self, now: float, retention_s: float, *, runs_alone: bool = False) -> "Job":
        """A stopping worker hands its job back, for another worker to run at once; no attempt is used up.

        runs_alone: the job was in a call that hung, and may be the cause.
        """
        self._require("be handed back", State.RUNNING, State.CANCELING)
        if self.state is State.CANCELING:
            return self.stopped(now, retention_s)
        noted = self._with_event(Event.HANDED_BACK, now)
        return noted._moved(State.QUEUED, worker=None, queued_at=now, runs_alone=self.runs_alone or runs_alone)

    def cancel_requested(self, now: float, retention_s: float) -> "Job":
        """Cancels a job at once if no worker runs it; asks a running one to stop. Asking twice changes nothing."""
        if self.state in (State.CANCELING, State.CANCELED):
            return self
        self._require("be canceled", State.QUEUED, State.RUNNING)
        if self.state is State.QUEUED or self.is_fanned_out:
            return self._ended(State.CANCELED, now, retention_s)
        return self._moved(State.CANCELING)._with_event(Event.CANCELING, now)

    def stopped(self, now: float, retention_s: float) -> "Job":
        """The run was asked to stop, and stopped."""
        self._require("stop", State.CANCELING)
        return self._ended(State.CANCELED, now, retention_s)

    def retried_as(self, job_id: str, now: float, max_attempts: int) -> "Job":
        """A new job with the same work on the same version. A job that succeeded needs no retry."""
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
            ignored_columns=self.ignored_columns,
        ).accepted()

    def _require(self, move: str, *allowed: State) -> None:
        if self.state not in allowed:
            wanted = " or ".join(allowed)
            raise IllegalMoveError(f"job {self.id} is {self.state} and cannot {move}; it would have to be {wanted}")

    def _require_fanned_out(self, move: str) -> None:
        self._require(move, State.RUNNING)
        if not self.is_fanned_out:
            raise IllegalMoveError(f"job {self.id} is not fanned out and cannot {move}")

    def _moved(self, state: State, **changes: Any) -> "Job":
        return self.changed(state=state, revision=self.revision + 1, **changes)

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
            timeline=with_entry(self.timeline, TimelineEntry(Event.FINISHED, now, self.attempt, self.worker, detail)),
            **changes,
        )

    def _with_event(self, event: Event, at: float, detail: str = "") -> "Job":
        entry = TimelineEntry(event, at, self.attempt, self.worker, detail)
        return self.changed(timeline=with_entry(self.timeline, entry))
