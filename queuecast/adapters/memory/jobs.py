"""Jobs in memory, for tests. The same suite tests them and those in Redis."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from queuecast.adapters.job_codec import decode_all, decode_job, decode_work, encode, gone_job, unknown_job
from queuecast.domain.deletion import gone_version
from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    IllegalMoveError,
    JobStoppedError,
    KeyReusedError,
    LaneFullError,
    StaleWriteError,
    UnknownJobError,
)
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.work import Work, rows_of
from queuecast.ports.jobs import Accepted, Change, IdempotencyKey, JobFilter, JobPage, Write
from queuecast.ports.monitor import JobMonitor


@dataclass(slots=True)
class Entry:
    id: str
    job_id: str
    at: float
    rows: int
    bytes: int
    worker: str | None = None
    renewed_at: float = 0.0


class MemoryJobs:
    """Job records, and the lanes that `MemoryLanes` gives access to."""

    def __init__(self, max_lane_jobs: int = 10_000, monitor: JobMonitor | None = None) -> None:
        self.clock: Callable[[], float] = time.time
        """Tells when a bell was rung. Leases use the real time."""
        self.lock = threading.RLock()
        self.lanes: dict[str, list[Entry]] = {}
        self.bells: dict[str, float] = {}
        self.delayed: dict[str, float] = {}
        self.attended: dict[str, tuple[str, float]] = {}
        self.taken: Counter[str] = Counter()
        self._max_lane_jobs = max_lane_jobs
        self._monitor = monitor
        self._next_entry = 0
        self._records: dict[str, bytes] = {}
        self._work: dict[str, tuple[bytes, bytes]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._results: dict[str, bytes] = {}
        self._first_submits: dict[str, tuple[str, str]] = {}
        self._dead_letters: list[str] = []
        self._gone: set[str] = set()
        self._listeners: list[queue.SimpleQueue[Change]] = []
        self.alias_of: Callable[[str, str], int | None] = lambda model, alias: None
        """`MemoryAliases` of the same store says which version an alias names, and which versions were deleted."""
        self.deleted_of: Callable[[str], frozenset[int]] = lambda model: frozenset()

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
        with self.lock:
            earlier = None if idempotency_key is None else self.find_repeated(idempotency_key)
            if earlier is not None:
                return Accepted(earlier, must_ring=False)
            if job.type is JobType.TRAINING:
                self._refuse_second_training(job.model.name)
            if checks_alias:
                self._require_alias(job.model)
            if job.model.version is not None and job.model.version in self.deleted_of(job.model.name):
                raise gone_version(job.model.name, job.model.version)
            length = len(self.lanes.get(job.lane, ()))
            if length >= self._max_lane_jobs:
                raise LaneFullError(f"{length} jobs wait in lane {job.lane}, expected fewer than {self._max_lane_jobs}")
            if replayed_dead_letter is not None:
                if replayed_dead_letter not in self._dead_letters:
                    detail = f"job {replayed_dead_letter} is no dead letter; it may have been replayed already"
                    raise ConflictError(detail)
                self._dead_letters.remove(replayed_dead_letter)
            if idempotency_key is not None:
                self._first_submits[idempotency_key.key] = idempotency_key.fingerprint, job.id
            self._records[job.id] = encode(job)
            self._work[job.id] = encode(work), rows
            self._sizes[job.id] = rows_of(work), len(rows)
            self._show(job)
            return Accepted(job.id, self.enter(job.id, job.lane))

    def _show(self, job: Job) -> None:
        if self._monitor is not None:
            self._monitor.show([job])

    def _require_alias(self, ref: ModelRef) -> None:
        present = self.alias_of(ref.name, ref.alias or "")
        if present != ref.version:
            raise AliasMovedError(f"alias {ref.alias} of {ref.name} names {present}, not {ref.version}")

    def _refuse_second_training(self, model: str) -> None:
        for record in map(decode_job, self._records.values()):
            if record.type is JobType.TRAINING and record.model.name == model and not record.is_final:
                raise ConflictError(f"model {model} is in training already, in job {record.id}")

    def unfinished(self, needs: Callable[[Job], bool]) -> list[str]:
        """The ids of the jobs that have not ended and need something."""
        records = [
            job
            for job in map(decode_job, self._records.values())
            if job.parent is None and job.type is not JobType.CHUNK
        ]
        return [job.id for job in records if not job.is_final and needs(job)]

    def find_repeated(self, idempotency_key: IdempotencyKey) -> str | None:
        fingerprint, job_id = self._first_submits.get(idempotency_key.key, (idempotency_key.fingerprint, None))
        if fingerprint != idempotency_key.fingerprint:
            raise KeyReusedError(f"this Idempotency-Key was used for another request, which led to job {job_id}")
        return job_id

    def read(self, job_id: str) -> Job:
        return self.record(job_id)

    def record(self, job_id: str) -> Job:
        """`read` for the lanes, which hold the lock: tests override `read` to write in between."""
        with self.lock:
            self._require(job_id)
            return decode_job(self._records[job_id])

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        with self.lock:
            return self.record(job_id), self._results.get(job_id)

    def read_many_with_results(self, job_ids: list[str]) -> list[tuple[Job, bytes | None] | None]:
        with self.lock:
            return [self.read_with_result(each) if each in self._records else None for each in job_ids]

    def read_work(self, job_id: str) -> tuple[Work, bytes]:
        with self.lock:
            self._require(job_id)
            if job_id not in self._work:
                raise unknown_job(job_id)
            work, rows = self._work[job_id]
            return decode_work(decode_job(self._records[job_id]).type, work), rows

    def snapshot(self, job_id: str) -> tuple[Job, Work, bytes] | None:
        return decode_all(self._records.get(job_id), *self._work.get(job_id, (None, None)))

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        return [self._replace_or_none(write) for write in writes]

    def _replace_or_none(self, write: Write) -> bool | None:
        try:
            return self.replace(write.job, write.result, write.entry)
        except (StaleWriteError, JobStoppedError, UnknownJobError):
            return None

    def replace(self, job: Job, result: bytes | None = None, entry: str | None = None) -> bool:
        with self.lock:
            self._require(job.id)
            if entry is not None and (entry, job.id) not in {(e.id, e.job_id) for e in self.lanes.get(job.lane, ())}:
                raise JobStoppedError(f"job {job.id} was taken from this worker")
            stored = decode_job(self._records[job.id])
            if stored.revision != job.revision - 1:
                raise StaleWriteError(f"job {job.id} is at revision {stored.revision}, not at {job.revision - 1}")
            self._records[job.id] = encode(job)
            if result is not None:
                self._results[job.id] = result
            must_ring = self._place(job)
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(Change(job.id, job.is_final))
        self._show(job)
        return must_ring

    def _place(self, job: Job) -> bool:
        """Moves the job to where its state belongs: into its lane, out of it, or among the delayed ones."""
        if job.state is State.QUEUED:
            self.leave(job.id)
            if job.not_before is None:
                return self.enter(job.id, job.lane)
            self.delayed[job.id] = job.not_before
        elif job.is_fanned_out:
            self.leave(job.id)
        elif job.is_final:
            self.leave(job.id)
            self.delayed.pop(job.id, None)
            if job.state is State.SUCCEEDED:
                self._work.pop(job.id, None)
            if job.is_dead_letter:
                self._dead_letters.insert(0, job.id)
        return False

    def delete(self, job_id: str) -> None:
        with self.lock:
            job = self.read(job_id)
            if not job.is_final:
                raise IllegalMoveError(f"job {job_id} is {job.state} and cannot be deleted; it must have ended")
            for values in (self._records, self._work, self._results):
                values.pop(job_id, None)
            self._dead_letters = [letter for letter in self._dead_letters if letter != job_id]
            self._gone.add(job_id)

    def past_start_deadline(self, now: float) -> list[str]:
        with self.lock:
            return [job.id for job in map(decode_job, self._records.values()) if job.is_due_to_expire(now)]

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage:
        with self.lock:
            records = sorted(map(decode_job, self._records.values()), key=lambda job: job.id, reverse=True)
        records = [job for job in records if job.parent is None and job.type is not JobType.CHUNK]
        found = [job for job in records if wanted.accepts(job) and (cursor is None or job.id < cursor)]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        start = int(cursor or 0)
        ids = self._dead_letters[start : start + limit]
        more = len(self._dead_letters) > start + limit
        return JobPage([self.read(job_id) for job_id in ids], str(start + limit) if more else None)

    def count_dead_letters(self, now: float) -> int:
        return sum((self.read(job_id).delete_at or now) > now for job_id in self._dead_letters)

    def changes(self) -> Iterator[list[Change]]:
        changes: queue.SimpleQueue[Change] = queue.SimpleQueue()
        with self.lock:
            self._listeners.append(changes)
        yield [Change("", is_end=True)]
        while True:
            yield [changes.get()]

    def memory(self) -> tuple[int, int]:
        return 0, 0

    def ping(self) -> None:
        return None

    def _require(self, job_id: str) -> None:
        if job_id not in self._records:
            raise gone_job(job_id) if job_id in self._gone else unknown_job(job_id)

    def enter(self, job_id: str, lane: str) -> bool:
        """Puts the job at the end of its lane; True when a bell must be rung."""
        self._next_entry += 1
        n_rows, n_bytes = self._sizes[job_id]
        self.lanes.setdefault(lane, []).append(Entry(f"{self._next_entry}-0", job_id, time.time(), n_rows, n_bytes))
        return lane not in self.attended and self.must_ring(lane)

    def must_ring(self, lane: str) -> bool:
        is_silent = lane not in self.bells
        self.bells.setdefault(lane, self.clock())
        return is_silent

    def leave(self, job_id: str) -> None:
        for lane in list(self.lanes):
            self.lanes[lane] = [entry for entry in self.lanes[lane] if entry.job_id != job_id]
            if not self.lanes[lane]:
                del self.lanes[lane]
                self.bells.pop(lane, None)
                del self.taken[lane]
