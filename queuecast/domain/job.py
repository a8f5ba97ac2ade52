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


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    CANCELED = "canceled"
    EXPIRED = "expired"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


FINAL_STATES = frozenset({State.CANCELED, State.EXPIRED, State.SUCCEEDED, State.FAILED})


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
    """`done` of `total` in `unit`; a training counts stages, and says which it is in and with how many rows."""

    done: int
    total: int
    unit: str
    stage: str | None = None
    rows: int | None = None


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
    state: State = State.QUEUED
    revision: int = 1
    attempt: int = 0
    """How many times a run was started. It is the fence: a run may only write while its number is here."""
    worker: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    """A job that has not started by then is not worth starting."""
    delete_at: float | None = None
    progress: Progress | None = None
    failure: Failure | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    def is_run_by(self, attempt: int) -> bool:
        """Whether run number `attempt` still owns this job (it may have been asked to stop)."""
        return self.attempt == attempt and self.state in (State.RUNNING, State.CANCELING)

    def claimed(self, worker: str, now: float) -> "Job":
        self._require("be claimed", State.QUEUED)
        return self._moved(State.RUNNING, attempt=self.attempt + 1, worker=worker, started_at=now)

    def expired(self, now: float, retention_s: float) -> "Job":
        self._require("expire", State.QUEUED)
        return self._ended(State.EXPIRED, now, retention_s)

    def is_due_to_expire(self, now: float) -> bool:
        return self.state is State.QUEUED and self.expires_at is not None and now >= self.expires_at

    def progressed(self, progress: Progress) -> "Job":
        self._require("report progress", State.RUNNING)
        return self._moved(State.RUNNING, progress=progress)

    def succeeded(self, now: float, retention_s: float) -> "Job":
        self._require("succeed", State.RUNNING)
        whole = None if self.progress is None else replace(self.progress, done=self.progress.total)
        return replace(self._ended(State.SUCCEEDED, now, retention_s), progress=whole)

    def failed(self, failure: Failure, now: float, retention_s: float) -> "Job":
        self._require("fail", State.RUNNING)
        return self._ended(State.FAILED, now, retention_s, failure=failure)

    def cancel_requested(self, now: float, retention_s: float) -> "Job":
        """Cancels a queued job at once; asks a running one to stop. Asking twice changes nothing."""
        if self.state in (State.CANCELING, State.CANCELED):
            return self
        self._require("be canceled", State.QUEUED, State.RUNNING)
        if self.state is State.QUEUED:
            return self._ended(State.CANCELED, now, retention_s)
        return self._moved(State.CANCELING)

    def stopped(self, now: float, retention_s: float) -> "Job":
        """The run noticed that it was asked to stop, and did."""
        self._require("stop", State.CANCELING)
        return self._ended(State.CANCELED, now, retention_s)

    def _require(self, move: str, *allowed: State) -> None:
        if self.state not in allowed:
            wanted = " or ".join(allowed)
            raise IllegalMoveError(f"job {self.id} is {self.state} and cannot {move}; that takes {wanted}")

    def _moved(self, state: State, **changes: Any) -> "Job":
        return replace(self, state=state, revision=self.revision + 1, **changes)

    def _ended(self, state: State, now: float, retention_s: float, failure: Failure | None = None) -> "Job":
        return self._moved(state, finished_at=now, delete_at=now + retention_s, failure=failure)


def failure_of(error: QueuecastError) -> Failure:
    return Failure(error.code, error.detail, error.findings)
