"""The ports without a server, for tests of the rules around them. Held to the same suite as Redis."""

import queue
import threading
from collections.abc import Iterator

from queuecast.adapters.job_records import decode_job, decode_work, encode, unknown_job
from queuecast.domain.errors import ConflictError, PreconditionFailedError, StaleWriteError
from queuecast.domain.job import Job, JobType
from queuecast.domain.model import Aliases, AliasMove, aliases_after
from queuecast.domain.work import Work
from queuecast.ports import JobFilter, JobPage


class MemoryJobs:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, bytes] = {}
        self._work: dict[str, tuple[bytes, bytes]] = {}
        self._results: dict[str, bytes] = {}
        self._listeners: list[queue.SimpleQueue[str]] = []

    def create(self, job: Job, work: Work, rows: bytes = b"") -> None:
        with self._lock:
            if job.type is JobType.TRAINING:
                self._refuse_second_training(job.model.name)
            self._records[job.id] = encode(job)
            self._work[job.id] = encode(work), rows

    def _refuse_second_training(self, model: str) -> None:
        for record in map(decode_job, self._records.values()):
            if record.type is JobType.TRAINING and record.model.name == model and not record.is_final:
                raise ConflictError(f"model {model} is in training already, in job {record.id}")

    def discard(self, job_id: str) -> None:
        with self._lock:
            self._records.pop(job_id, None)
            self._work.pop(job_id, None)

    def read(self, job_id: str) -> Job:
        return self.read_with_result(job_id)[0]

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        with self._lock:
            if job_id not in self._records:
                raise unknown_job(job_id)
            return decode_job(self._records[job_id]), self._results.get(job_id)

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        with self._lock:
            if job_id not in self._work:
                raise unknown_job(job_id)
            work, rows = self._work[job_id]
            return decode_work(decode_job(self._records[job_id]).type, work), rows

    def replace(self, job: Job, result: bytes | None = None) -> None:
        with self._lock:
            if job.id not in self._records:
                raise unknown_job(job.id)
            stored = decode_job(self._records[job.id]).revision
            if stored != job.revision - 1:
                raise StaleWriteError(f"job {job.id} is at revision {stored}, not at {job.revision - 1}")
            self._records[job.id] = encode(job)
            if result is not None:
                self._results[job.id] = result
            if job.is_final:
                self._work.pop(job.id, None)
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(job.id)

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage:
        with self._lock:
            records = sorted(map(decode_job, self._records.values()), key=lambda job: job.id, reverse=True)
        found = [job for job in records if wanted.accepts(job) and (cursor is None or job.id < cursor)]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def changes(self) -> Iterator[str]:
        mine: queue.SimpleQueue[str] = queue.SimpleQueue()
        with self._lock:
            self._listeners.append(mine)
        yield ""
        while True:
            yield mine.get()

    def ping(self) -> None:
        return None


class MemoryBells:
    """Keeps what was rung, in order."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    def ring(self, job: Job) -> None:
        self.rung.append(job.id)


class MemoryAliases:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._aliases: dict[str, Aliases] = {}
        self._history: dict[str, list[AliasMove]] = {}
        self._unfiled: set[str] = set()

    def read(self, model: str) -> Aliases:
        return self._aliases.get(model, Aliases())

    def move(self, model: str, move: AliasMove) -> None:
        with self._lock:
            present = self.read(model)
            if present.generation != move.generation - 1:
                raise PreconditionFailedError(
                    f"the aliases of {model} are at generation {present.generation}, not at {move.generation - 1}: "
                    "somebody moved one"
                )
            self._aliases[model] = Aliases(move.generation, present.versions | {move.alias: move.version})
            self._history.setdefault(model, []).append(move)
            self._unfiled.add(model)

    def history(self, model: str) -> list[AliasMove]:
        return list(self._history.get(model, []))

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        with self._lock:
            present = self.read(model).generation
            if present != expected:
                raise PreconditionFailedError(
                    f"the aliases of {model} are at generation {present}, not at {expected}: somebody moved one "
                    "meanwhile"
                )
            self._aliases[model] = aliases_after(moves)
            self._history[model] = list(moves)

    def unfiled(self) -> list[str]:
        with self._lock:
            return sorted(self._unfiled)

    def mark_filed(self, model: str, count: int) -> bool:
        with self._lock:
            if len(self._history.get(model, [])) != count:
                return False
            self._unfiled.discard(model)
            return True
