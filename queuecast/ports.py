"""What the use cases need of the world, as Protocols. Adapters fill them; one test suite holds each to its word."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from queuecast.domain.job import Job, JobType, State
from queuecast.domain.model import Aliases, AliasMove, Manifest
from queuecast.domain.work import Work

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


class JobStore(Protocol):
    """The job records: the one truth about jobs. Every call raises UnavailableError when the store is away."""

    def create(self, job: Job, work: Work, rows: bytes = b"") -> None:
        """Writes record, work and rows at once. Raises ConflictError when the model has a live training already."""

    def discard(self, job_id: str) -> None:
        """Takes a job back that was never queued. Harmless when it is gone."""

    def read(self, job_id: str) -> Job:
        """Raises UnknownJobError."""

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        """The result is JSON. Raises UnknownJobError."""

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        """The work and the rows of a prediction. Raises UnknownJobError."""

    def replace(self, job: Job, result: bytes | None = None) -> None:
        """Writes `job` where its revision - 1 is stored, and tells the listeners of `changes`.

        Raises StaleWriteError when another revision is there, UnknownJobError when nothing is.
        """

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage: ...

    def changes(self) -> Iterator[str]:
        """Ids of jobs whose record was replaced, as it happens, until closed.

        Yields an empty string when it (re)connects: changes before that may have been missed.
        """

    def ping(self) -> None: ...


class Doorbell(Protocol):
    """Wakes a worker. The message carries a job's id, never its rows."""

    def ring(self, job: Job) -> None:
        """Raises UnavailableError when the message could not be handed over."""


class AliasStore(Protocol):
    def read(self, model: str) -> Aliases:
        """A model without aliases has generation 0."""

    def move(self, model: str, move: AliasMove) -> None:
        """Sets the alias and appends to the history at once, if `move.generation` is the present one plus one.

        Raises PreconditionFailedError when somebody else moved an alias first.
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

        The version is visible whole or not at all. `manifest.version` is ignored.
        """

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
    def receive(self) -> IncomingFile: ...

    def stat(self, file_id: str) -> StoredFile:
        """Raises UnknownFileError."""

    def path(self, file_id: str) -> Path:
        """Where the bytes are. Raises UnknownFileError."""

    def delete(self, file_id: str) -> None:
        """Raises UnknownFileError."""


class WorkerList(Protocol):
    """Which workers there are, by their own word."""

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        """The worker is there now and takes from these queues."""

    def forget(self, name: str) -> None:
        """A worker that stops says so; one that dies is left out after a while."""

    def waiting(self, queues: tuple[str, ...]) -> int:
        """How many messages wait in these queues."""

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
