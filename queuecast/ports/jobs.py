"""What the use cases need of the world, as Protocols. Adapters fill them; one test suite holds each to its word."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from queuecast.domain.job import Job, JobType, State
from queuecast.domain.work import Work


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a listing wants; None wants all."""

    type: JobType | None = None
    state: State | None = None
    model: str | None = None
    version: int | None = None
    created_after: float | None = None

    def accepts(self, job: Job) -> bool:
        return (
            self.type in (None, job.type)
            and self.state in (None, job.state)
            and self.model in (None, job.model.name)
            and self.version in (None, job.model.version)
            and (self.created_after is None or job.created_at > self.created_after)
        )


@dataclass(frozen=True, slots=True)
class JobPage:
    """Newest first. A page may be shorter than asked for, even empty, while `next_cursor` says there is more."""

    jobs: list[Job]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a submit repeatable: the caller's Idempotency-Key, and a digest of what was asked for."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which job a submit led to (an earlier one for a repeat), and whether a bell must be rung for its lane."""

    job_id: str
    must_ring: bool


@dataclass(frozen=True, slots=True)
class Write:
    """The next revision of a job; the rest is as in `JobStore.replace`."""

    job: Job
    result: bytes | None
    entry: str | None


class Change(NamedTuple):
    """A job's record was replaced. is_end: by one that will not be replaced any more."""

    job_id: str
    is_end: bool


class JobStore(Protocol):
    """The job records: the one truth about jobs. Every call raises UnavailableError when the store is away.

    A job that is queued is in its lane, or in the list of those that wait out a delay; one that ended is in neither.
    The store sees to that with every write, at once with it.
    """

    def create(
        self,
        job: Job,
        work: Work,
        rows: bytes = b"",
        repeat: IdempotencyKey | None = None,
        replayed_letter: str | None = None,
        *,
        checks_alias: bool = False,
    ) -> Accepted:
        """Writes record, work and rows, and puts the job in its lane, all at once.

        replayed_letter: the dead letter that this job replays; it is taken off the list. checks_alias: raises
        AliasMovedError unless the job's alias names its version. Raises LaneFullError, StoreFullError,
        KeyReusedError, and ConflictError when the model has a live training already or the letter was
        replayed before.
        """

    def find_replay(self, repeat: IdempotencyKey) -> str | None:
        """The id of the job that this very request led to before. Raises KeyReusedError for another request."""

    def read(self, job_id: str) -> Job:
        """Raises UnknownJobError, or GoneJobError for a while after the job's retention."""

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        """The result is JSON. Raises UnknownJobError or GoneJobError."""

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        """Jobs with their results in one round trip; None for one without a record."""

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        """The work and the rows of a prediction; kept until the job succeeds. Raises UnknownJobError."""

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        """Each as `replace` would, in few round trips; None for one that was refused, for whatever reason.

        What was written when it raises UnavailableError is not known.
        """

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        """Writes `job` where its revision - 1 is stored, moves it between the lanes, tells the listeners of `changes`.

        entry: of the reservation that the writer acts on. True when the job's lane must be rung for. Raises
        StaleWriteError when another revision is there, JobStoppedError when the job is not in its lane under that
        entry, UnknownJobError or GoneJobError when there is none.
        """

    def delete(self, job_id: str) -> None:
        """Purges an ended job. Raises UnknownJobError, GoneJobError, or IllegalMoveError for one that has not ended."""

    def overdue(self, now: float) -> list[str]:
        """Ids of some jobs whose start deadline has passed and that were not started."""

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage: ...

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        """Failed jobs whose attempts were used up, newest first."""

    def count_dead_letters(self, now: float) -> int:
        """Those that are kept beyond `now`."""

    def changes(self) -> Iterator[list[Change]]:
        """Jobs whose record was replaced, as it happens, until closed: those that one message names together.

        One with an empty id when it (re)connects: changes before that may have been missed.
        """

    def memory(self) -> tuple[int, int]:
        """Bytes that the store uses, and may use; 0 for no limit."""

    def ping(self) -> None: ...
