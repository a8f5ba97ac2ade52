"""The store of job records."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from queuecast.domain.job import Job, JobType, State
from queuecast.domain.work import Work


@dataclass(frozen=True, slots=True)
class JobFilter:
    """The jobs to list. None matches every job."""

    type: JobType | None = None
    state: State | None = None
    model: str | None = None
    version: int | None = None
    created_after: float | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """Fields that the job's metadata must have, with these values."""

    def accepts(self, job: Job) -> bool:
        return (
            self.type in (None, job.type)
            and self.state in (None, job.state)
            and self.model in (None, job.model.name)
            and self.version in (None, job.model.version)
            and (self.created_after is None or job.created_at > self.created_after)
            and all(name in job.metadata and _same(job.metadata[name], value) for name, value in self.metadata.items())
        )


def _same(one: Any, other: Any) -> bool:
    """As JSON compares: `true` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@dataclass(frozen=True, slots=True)
class JobPage:
    """Newest first. A page may be shorter than asked for, even empty, while `next_cursor` says that there are more."""

    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The caller's Idempotency-Key and a digest of the request: a repeated submit finds the first one's job."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job of a submit, the first one's for a repeated submit, and whether the caller must ring for its lane."""

    job_id: str
    must_ring: bool


@dataclass(frozen=True, slots=True)
class Write:
    """The next revision of a job. `result` and `entry` are those of `JobStore.replace`."""

    job: Job
    result: bytes | None
    entry: str | None


class Change(NamedTuple):
    """A job's record was replaced. is_end: the job has ended."""

    job_id: str
    is_end: bool


class JobStore(Protocol):
    """The job records, the only source of truth about jobs. Every call raises UnavailableError when the store is away.

    A queued job is in its lane, or in the list of delayed jobs; an ended job is in neither. Each write keeps this true
    in the same step.
    """

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        idempotency_key: IdempotencyKey | None = None,
        replayed_dead_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        """Writes record, work and rows, and puts the job in its lane, in one step.

        replayed_dead_letter: the one that this job replays; it leaves the list of dead letters. checks_alias: raises
        AliasMovedError unless the job's alias names its version. Raises GoneVersionError if the job's version was
        deleted, LaneFullError, StoreFullError, KeyReusedError, and ConflictError when the model already has a live
        training or the dead letter was replayed before.
        """

    def find_repeated(self, idempotency_key: IdempotencyKey) -> str | None:
        """The id of the job that the same request led to before. Raises KeyReusedError for a different request."""

    def read(self, job_id: str) -> Job:
        """Raises UnknownJobError, or GoneJobError for a while after the job's retention."""

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        """The result is JSON. Raises UnknownJobError or GoneJobError."""

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        """Jobs with their results in one round trip; None for a job without a record."""

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        """The work and the rows of a prediction, which are stored until the job succeeds. Raises UnknownJobError."""

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        """Like `replace` for each of them, in few round trips; None for a write that was refused for any reason.

        Some of them may be written when it raises UnavailableError.
        """

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        """Writes `job` if the stored revision is the one before, moves it between the lanes, and notifies `changes`.

        entry: the reservation under which the caller holds the job. True when the caller must ring for the job's lane.
        Raises StaleWriteError for another stored revision, JobStoppedError when the job is not in its lane under that
        entry, and UnknownJobError or GoneJobError for a job without a record.
        """

    def delete(self, job_id: str) -> None:
        """Purges an ended job. Raises UnknownJobError, GoneJobError, or IllegalMoveError for one that has not ended."""

    def past_start_deadline(self, now: float) -> list[str]:
        """The ids of some jobs that were not started before their start deadline."""

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage: ...

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        """Failed jobs that used up their attempts, newest first."""

    def count_dead_letters(self, now: float) -> int:
        """Without those that are past their retention."""

    def changes(self) -> Iterator[list[Change]]:
        """Yields changes as they happen, those of one message together, until closed.

        Yields one with an empty id whenever it has (re)connected: changes before that may have been missed.
        """

    def memory(self) -> tuple[int, int]:
        """The bytes that the store uses, and its limit; 0 for no limit."""

    def ping(self) -> None: ...
