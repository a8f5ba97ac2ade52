"""What the use cases need of the world, as Protocols. Adapters fill them; one test suite holds each to its word."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from queuecast.domain.batch import OutputFormat
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.model import Aliases, AliasMove, Manifest
from queuecast.domain.plan import Outcome, Plan, Tally
from queuecast.domain.work import ChunkWork, Work

Clock = Callable[[], float]
"""Seconds since the Unix epoch."""


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
class Repeat:
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
        repeat: Repeat | None = None,
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

    def repeated(self, repeat: Repeat) -> str | None:
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


@dataclass(frozen=True, slots=True)
class Reservation:
    """A job that was taken from its lane by one worker. `entry` is new each time that the job is queued."""

    lane: str
    entry: str
    job_id: str
    worker: str
    found: tuple[Job, Work, bytes] | None = field(default=None, compare=False, repr=False)
    """The job with its work and rows, as it was when it was taken; None when it was not read, or has none."""


@dataclass(frozen=True, slots=True)
class Depth:
    """How a lane stands. Times are the store's."""

    lane: str
    waiting: int
    reserved: int
    oldest_at: float | None
    bell_at: float | None
    """When it was last rung for, or when the worker that attends it last claimed; None when nobody is on the way."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands in its lane: position 1 is taken next or just now, None is not in it. taken: from it so far.

    `taken` counts on while the lane has jobs; it starts at 0 again when it was empty.
    """

    position: int | None
    taken: int


class Lanes(Protocol):
    """Where jobs wait. What a worker reserved stays on the list of what it holds until the job leaves the lane.

    Every call raises UnavailableError when the store is away.
    """

    def reserve(
        self, lane: str, worker: str, rows: int, *, answers_bell: bool, attends: bool = False
    ) -> tuple[list[Reservation], bool]:
        """The oldest jobs that wait, and whether more are left that a bell must be rung for.

        As many as have `rows` rows and `BYTES_A_CLAIM` together, and one at least. attends: the worker is back in a
        moment, so no bell is needed for jobs that come meanwhile; until it leaves, or does not say so again. Others
        find nothing there for a moment, unless half of the rows or bytes waits that they may take, or more.
        """

    def linger(self, lane: str, worker: str, timeout_s: float) -> bool:
        """Waits for the next job of a lane that the worker attends; False when none came, or another attends it."""

    def leave(self, lane: str, worker: str) -> bool:
        """The worker attends the lane no longer; True when jobs wait, nobody else attends, and a bell must be rung."""

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        """Keeps the leases and says how each job stands; None for one that this worker holds no longer."""

    def give_back(self, reservation: Reservation) -> bool:
        """To the end of the lane, if it is held as reserved; True when a bell must be rung."""

    def reserved(self, silent_s: float = 0.0) -> list[Reservation]:
        """What is held by any worker and was not renewed for so long."""

    def release_due(self, now: float) -> list[str]:
        """Puts the jobs whose delay is over into their lanes; names the lanes that a bell must be rung for."""

    def note_bell(self, lane: str) -> None:
        """Notes that a bell is rung now, if the lane has a job in it."""

    def depths(self) -> list[Depth]:
        """Every lane with a job in it."""

    def standing(self, lane: str, job_id: str) -> Standing: ...

    def tidy(self, silent_s: float = 3600.0) -> None:
        """Forgets workers that hold nothing and were not heard of for so long."""


class BatchBoards(Protocol):
    """Which chunks of a batch are done, and the chunks themselves, which are jobs that no listing has.

    A board is that of one plan of a batch. Every call raises UnavailableError when the store is away.
    """

    def open(self, batch_id: str, plan: int) -> None:
        """Puts the batch on the list of those whose chunks are looked after."""

    def live(self) -> dict[str, int]:
        """The batches on that list, each with the number of its plan."""

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        """Takes an ended batch off the list; its board is kept until then, for a retry that goes on from it."""

    def mark(self, batch_id: str, plan: int, index: int, rows: int, bad: int) -> Tally:
        """Notes a chunk as done, once: what a second mark says is not counted. Returns the sums after it."""

    def unmark(self, batch_id: str, plan: int, index: int) -> None:
        """Takes back a mark whose part is not there."""

    def is_marked(self, batch_id: str, plan: int, index: int) -> bool: ...

    def marks(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        """The index of each chunk that is done, with its rows and how many of them were bad."""

    def tally(self, batch_id: str, plan: int) -> Tally: ...

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        """Puts chunks of one batch into its lane, those left out that wait or run already. True: ring for the lane."""

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        """Those of the chunks that there is a record of."""


class BatchFiles(Protocol):
    """What batches leave on disk: plans, parts, results."""

    def plan(self, batch_id: str) -> Plan | None: ...

    def keep_plan(self, batch_id: str, plan: Plan) -> Plan:
        """Writes the plan, unless there is one; returns the one that holds."""

    def outcome(self, batch_id: str) -> Outcome | None: ...

    def keep_outcome(self, batch_id: str, outcome: Outcome) -> Outcome:
        """Writes the outcome, unless there is one; returns the one that holds."""

    def part(self, batch_id: str, plan: int, index: int) -> Path: ...

    def bad_rows(self, batch_id: str, plan: int, index: int) -> Path: ...

    def result(self, batch_id: str, attempt: int, output_format: OutputFormat) -> Path: ...

    def errors(self, batch_id: str, attempt: int) -> Path: ...

    def adopt(self, batch_id: str, plan: int, source_id: str, source_plan: int, index: int) -> bool:
        """Takes over a part of another batch; False when it is not there. Safe to call again."""

    def drop_parts(self, batch_id: str) -> None: ...


class Doorbell(Protocol):
    """Wakes a worker. The message carries a lane's name, never a job.

    It is a hint: what waits in a lane is in its record, and the reaper rings for a lane that waits in silence.
    """

    def ring(self, lane: str, *, is_urgent: bool = False) -> bool:
        """Whether the message was handed over; one that was not is logged, and nobody needs to see to it.

        is_urgent: it goes before all that waits, whatever the lane's priority, and beside the lane's other bell.
        """


class AliasStore(Protocol):
    def read(self, model: str) -> Aliases:
        """A model without aliases has generation 0."""

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        """Sets the alias and appends to the history at once, if `move.generation` is the present one plus one.

        run: the job on whose behalf, as it was claimed. Raises PreconditionFailedError when somebody else moved an
        alias first, JobStoppedError when that run does not own its job any more.
        """

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        """Replaces aliases and history by what `moves` (all there ever were, oldest first) say.

        Raises PreconditionFailedError unless the generation is `expected`.
        """


class ModelRegistry(Protocol):
    """Immutable versions."""

    def publish(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        """Writes a version under the next free number and returns the manifest that carries it.

        The version is visible whole or not at all. `manifest.version` is ignored. A job makes one version, however
        often it is run: where it has made one, that one's manifest is returned and nothing is written. Raises
        UnavailableError (code `disk_full`) when there is no room.
        """

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        """The version that a job made."""

    def models(self) -> list[str]: ...

    def versions(self, model: str) -> list[int]:
        """Ascending. Raises UnknownModelError."""

    def manifest(self, model: str, version: int) -> Manifest:
        """Raises UnknownModelError or UnknownVersionError."""

    def file(self, model: str, version: int, name: str) -> bytes:
        """One of the files beside the manifest, for example `model.skops`. Raises UnknownVersionError."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: float


class IncomingFile(Protocol):
    """A file on its way in. Until `keep` it is invisible; `drop` leaves nothing behind and may come twice."""

    stream: IO[bytes]

    def keep(self, name: str, media_type: str) -> StoredFile: ...

    def drop(self) -> None: ...


class FileStore(Protocol):
    def receive(self) -> IncomingFile:
        """Raises FilesFullError when the files take as much room as they may."""

    def stat(self, file_id: str) -> StoredFile:
        """Raises UnknownFileError."""

    def path(self, file_id: str) -> Path:
        """Where the bytes are; asking counts as a use of the file. Raises UnknownFileError."""

    def delete(self, file_id: str) -> None:
        """Raises UnknownFileError."""

    def size_bytes(self) -> int:
        """Of all files together."""


class WorkerList(Protocol):
    """Which workers there are, by their own word."""

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        """The worker is there now and takes from these queues."""

    def forget(self, name: str) -> None:
        """A worker that stops says so; one that dies is left out after a while."""

    def waiting(self, queues: Sequence[str]) -> list[int]:
        """How many messages wait in each of these lists."""

    def count_by_queue(self) -> dict[str, int]:
        """Workers heard of lately."""


class UnfiledMoves(Protocol):
    """The store of aliases, as the export of its moves to files sees it."""

    def unfiled(self) -> list[str]:
        """Models with moves that may be in no file yet. One round trip."""

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def mark_filed(self, model: str, count: int) -> bool:
        """Takes the model off that list; False, and nothing happens, when it has another number of moves by now."""


class OpenTrail(Protocol):
    """A model's audit file while nobody else writes to it."""

    moves: list[AliasMove]

    def append(self, moves: list[AliasMove]) -> None:
        """Returns when the moves are on the disk."""


class AuditTrails(Protocol):
    """A model's alias moves outside of Redis, so that they outlive it."""

    def models(self) -> list[str]: ...

    def read(self, model: str) -> list[AliasMove]:
        """Oldest first; none for a model without a trail. Raises DamagedFileError."""

    def opened(self, model: str) -> AbstractContextManager[OpenTrail]:
        """Waits until it is alone. Raises DamagedFileError."""
