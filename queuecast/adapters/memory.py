"""The ports without a server, for tests of the rules around them. Held to the same suite as Redis."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from queuecast.adapters.job_records import decode_all, decode_job, decode_work, encode, gone_job, unknown_job
from queuecast.domain.errors import (
    AliasMovedError,
    ConflictError,
    IllegalMoveError,
    JobStoppedError,
    KeyReusedError,
    LaneFullError,
    PreconditionFailedError,
    StaleWriteError,
    UnknownJobError,
)
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.lane import BYTES_A_CLAIM
from queuecast.domain.model import Aliases, AliasMove, aliases_after
from queuecast.domain.work import Work, rows_of
from queuecast.ports import Accepted, Change, Depth, JobFilter, JobPage, Repeat, Reservation, Standing, Write


@dataclass(slots=True)
class Entry:
    id: str
    job_id: str
    at: float
    rows: int
    bytes: int
    worker: str | None = None
    renewed_at: float = 0.0


ATTENDED_S = 0.1


class MemoryJobs:
    """Job records, and the lanes that `MemoryLanes` shows."""

    def __init__(self, max_lane_jobs: int = 10_000) -> None:
        self.lock = threading.RLock()
        self.lanes: dict[str, list[Entry]] = {}
        self.bells: dict[str, float] = {}
        self.delayed: dict[str, float] = {}
        self.attended: dict[str, tuple[str, float]] = {}
        self.taken: Counter[str] = Counter()
        self._max_lane_jobs = max_lane_jobs
        self._next_entry = 0
        self._records: dict[str, bytes] = {}
        self._work: dict[str, tuple[bytes, bytes]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._results: dict[str, bytes] = {}
        self._repeats: dict[str, tuple[str, str]] = {}
        self._letters: list[str] = []
        self._gone: set[str] = set()
        self._listeners: list[queue.SimpleQueue[Change]] = []
        self.alias_of: Callable[[str, str], int | None] = lambda model, alias: None
        """`MemoryAliases` of the same store says which version an alias names."""

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
        with self.lock:
            earlier = None if repeat is None else self.repeated(repeat)
            if earlier is not None:
                return Accepted(earlier, must_ring=False)
            if job.type is JobType.TRAINING:
                self._refuse_second_training(job.model.name)
            if checks_alias:
                self._require_alias(job.model)
            length = len(self.lanes.get(job.lane, ()))
            if length >= self._max_lane_jobs:
                raise LaneFullError(f"{length} jobs wait in lane {job.lane}, expected fewer than {self._max_lane_jobs}")
            if replayed_letter is not None:
                if replayed_letter not in self._letters:
                    raise ConflictError(f"job {replayed_letter} is no dead letter; it may have been replayed already")
                self._letters.remove(replayed_letter)
            if repeat is not None:
                self._repeats[repeat.key] = repeat.fingerprint, job.id
            self._records[job.id] = encode(job)
            self._work[job.id] = encode(work), rows
            self._sizes[job.id] = rows_of(work), len(rows)
            return Accepted(job.id, self.enter(job.id, job.lane))

    def _require_alias(self, ref: ModelRef) -> None:
        present = self.alias_of(ref.name, ref.alias or "")
        if present != ref.version:
            raise AliasMovedError(f"alias {ref.alias} of {ref.name} names {present}, not {ref.version}")

    def _refuse_second_training(self, model: str) -> None:
        for record in map(decode_job, self._records.values()):
            if record.type is JobType.TRAINING and record.model.name == model and not record.is_final:
                raise ConflictError(f"model {model} is in training already, in job {record.id}")

    def repeated(self, repeat: Repeat) -> str | None:
        fingerprint, job_id = self._repeats.get(repeat.key, (repeat.fingerprint, None))
        if fingerprint != repeat.fingerprint:
            raise KeyReusedError(f"this Idempotency-Key was used for another request, which led to job {job_id}")
        return job_id

    def read(self, job_id: str) -> Job:
        return self.read_with_result(job_id)[0]

    def read_with_result(self, job_id: str) -> tuple[Job, bytes | None]:
        with self.lock:
            self._require(job_id)
            return decode_job(self._records[job_id]), self._results.get(job_id)

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

    def found(self, job_id: str) -> tuple[Job, Work, bytes] | None:
        return decode_all(self._records.get(job_id), *self._work.get(job_id, (None, None)))

    def replace_all(self, writes: list[Write]) -> list[bool | None]:
        return [self._replaced(write) for write in writes]

    def _replaced(self, write: Write) -> bool | None:
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
            must_ring = self._placed(job)
            listeners = list(self._listeners)
        for listener in listeners:
            listener.put(Change(job.id, job.is_final))
        return must_ring

    def _placed(self, job: Job) -> bool:
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
                self._letters.insert(0, job.id)
        return False

    def delete(self, job_id: str) -> None:
        with self.lock:
            job = self.read(job_id)
            if not job.is_final:
                raise IllegalMoveError(f"job {job_id} is {job.state} and cannot be deleted; it must have ended")
            for kept in (self._records, self._work, self._results):
                kept.pop(job_id, None)
            self._letters = [letter for letter in self._letters if letter != job_id]
            self._gone.add(job_id)

    def overdue(self, now: float) -> list[str]:
        with self.lock:
            return [job.id for job in map(decode_job, self._records.values()) if job.is_due_to_expire(now)]

    def page(self, wanted: JobFilter, cursor: str | None, limit: int) -> JobPage:
        with self.lock:
            records = sorted(map(decode_job, self._records.values()), key=lambda job: job.id, reverse=True)
        records = [job for job in records if job.type is not JobType.CHUNK]
        found = [job for job in records if wanted.accepts(job) and (cursor is None or job.id < cursor)]
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def dead_letters(self, cursor: str | None, limit: int) -> JobPage:
        start = int(cursor or 0)
        ids = self._letters[start : start + limit]
        more = len(self._letters) > start + limit
        return JobPage([self.read(job_id) for job_id in ids], str(start + limit) if more else None)

    def changes(self) -> Iterator[list[Change]]:
        mine: queue.SimpleQueue[Change] = queue.SimpleQueue()
        with self.lock:
            self._listeners.append(mine)
        yield [Change("", is_end=True)]
        while True:
            yield [mine.get()]

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
        self.bells.setdefault(lane, time.time())
        return is_silent

    def leave(self, job_id: str) -> None:
        for lane in list(self.lanes):
            self.lanes[lane] = [entry for entry in self.lanes[lane] if entry.job_id != job_id]
            if not self.lanes[lane]:
                del self.lanes[lane]
                self.bells.pop(lane, None)
                del self.taken[lane]


class MemoryLanes:
    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs

    def reserve(
        self, lane: str, worker: str, rows: int, *, answers_bell: bool, attends: bool = False
    ) -> tuple[list[Reservation], bool]:
        with self._jobs.lock:
            if answers_bell:
                self._jobs.bells.pop(lane, None)
            waiting = [entry for entry in self._jobs.lanes.get(lane, ()) if entry.worker is None]
            attendant, since = self._jobs.attended.get(lane, (worker, 0.0))
            is_served = attendant != worker and time.time() - since < ATTENDED_S
            all_rows, all_bytes = sum(each.rows for each in waiting), sum(each.bytes for each in waiting)
            if is_served and all_rows * 2 < rows and all_bytes * 2 < BYTES_A_CLAIM:
                return [], False
            found = waiting[: _within(waiting, rows)]
            for entry in found:
                entry.worker, entry.renewed_at = worker, time.time()
            self._jobs.taken[lane] += len(found)
            self._jobs.attended.pop(lane, None)
            if attends:
                self._jobs.attended[lane] = worker, time.time()
            must_ring = len(waiting) > len(found) and self._jobs.must_ring(lane)
            reserved = [
                Reservation(lane, entry.id, entry.job_id, worker, self._jobs.found(entry.job_id)) for entry in found
            ]
            return reserved, must_ring

    def linger(self, lane: str, worker: str, timeout_s: float) -> bool:
        """Looks once: nobody comes while a test's only thread waits."""
        attendant, _ = self._jobs.attended.get(lane, ("", 0.0))
        return attendant == worker and any(entry.worker is None for entry in self._jobs.lanes.get(lane, ()))

    def leave(self, lane: str, worker: str) -> bool:
        with self._jobs.lock:
            if self._jobs.attended.get(lane, (worker, 0.0))[0] != worker:
                return False
            self._jobs.attended.pop(lane, None)
            is_waiting = any(entry.worker is None for entry in self._jobs.lanes.get(lane, ()))
            return is_waiting and self._jobs.must_ring(lane)

    def standing(self, lane: str, job_id: str) -> Standing:
        with self._jobs.lock:
            waiting = [entry.job_id for entry in self._jobs.lanes.get(lane, ()) if entry.worker is None]
            position = waiting.index(job_id) + 1 if job_id in waiting else None
            return Standing(position, self._jobs.taken[lane])

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        with self._jobs.lock:
            return [self._renewed(each) for each in reservations]

    def _renewed(self, reservation: Reservation) -> State | None:
        entry = self._held(reservation)
        if entry is None:
            return None
        entry.renewed_at = time.time()
        return self._jobs.read(reservation.job_id).state

    def give_back(self, reservation: Reservation) -> bool:
        with self._jobs.lock:
            is_queued = self._held(reservation) and self._jobs.read(reservation.job_id).state is State.QUEUED
            if not is_queued:
                return False
            self._jobs.leave(reservation.job_id)
            return self._jobs.enter(reservation.job_id, reservation.lane)

    def reserved(self, silent_s: float = 0.0) -> list[Reservation]:
        with self._jobs.lock:
            return [
                Reservation(lane, entry.id, entry.job_id, entry.worker)
                for lane, entries in self._jobs.lanes.items()
                for entry in entries
                if entry.worker is not None and time.time() - entry.renewed_at >= silent_s
            ]

    def release_due(self, now: float) -> list[str]:
        with self._jobs.lock:
            due = [
                job_id for at, job_id in sorted((at, job_id) for job_id, at in self._jobs.delayed.items()) if at <= now
            ]
            lanes = []
            for job_id in due:
                del self._jobs.delayed[job_id]
                lane = self._jobs.read(job_id).lane
                if self._jobs.enter(job_id, lane):
                    lanes.append(lane)
            return lanes

    def note_bell(self, lane: str) -> None:
        with self._jobs.lock:
            self._jobs.attended.pop(lane, None)
            if lane in self._jobs.lanes:
                self._jobs.bells[lane] = time.time()

    def depths(self) -> list[Depth]:
        with self._jobs.lock:
            return [self._depth(lane, entries) for lane, entries in sorted(self._jobs.lanes.items())]

    def _depth(self, lane: str, entries: list[Entry]) -> Depth:
        waiting = [entry for entry in entries if entry.worker is None]
        oldest = waiting[0].at if waiting else None
        return Depth(lane, len(waiting), len(entries) - len(waiting), oldest, self._jobs.bells.get(lane))

    def tidy(self, silent_s: float = 3600.0) -> None:
        return None

    def _held(self, reservation: Reservation) -> Entry | None:
        for entry in self._jobs.lanes.get(reservation.lane, ()):
            if entry.id == reservation.entry and entry.worker == reservation.worker:
                return entry
        return None


def _within(waiting: list[Entry], rows: int) -> int:
    """How many of the first have so many rows together, and so many bytes as a claim may; one at least."""
    sums = zip(accumulate(each.rows for each in waiting), accumulate(each.bytes for each in waiting), strict=True)
    return max(1, sum(n_rows <= rows and n_bytes <= BYTES_A_CLAIM for n_rows, n_bytes in sums))


class MemoryBells:
    """Keeps which lanes were rung for, in order, and which of them urgently."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.urgent: list[str] = []

    def ring(self, lane: str, *, is_urgent: bool = False) -> bool:
        self.rung.append(lane)
        if is_urgent:
            self.urgent.append(lane)
        return True


class MemoryAliases:
    """jobs: where to see whether a run still owns its job."""

    def __init__(self, jobs: MemoryJobs | None = None) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._aliases: dict[str, Aliases] = {}
        self._history: dict[str, list[AliasMove]] = {}
        self._unfiled: set[str] = set()
        if jobs is not None:
            jobs.alias_of = lambda model, alias: self.read(model).versions.get(alias)

    def read(self, model: str) -> Aliases:
        return self._aliases.get(model, Aliases())

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        with self._lock:
            if run is not None and not self._owns(run):
                raise JobStoppedError(f"job {run.id} was asked to stop, or is run by somebody else now")
            present = self.read(model)
            if present.generation != move.generation - 1:
                raise PreconditionFailedError(
                    f"the aliases of {model} are at generation {present.generation}, not at {move.generation - 1}: "
                    "somebody moved one"
                )
            self._aliases[model] = Aliases(move.generation, present.versions | {move.alias: move.version})
            self._history.setdefault(model, []).append(move)
            self._unfiled.add(model)

    def _owns(self, run: Job) -> bool:
        try:
            present = run if self._jobs is None else self._jobs.read(run.id)
        except UnknownJobError:
            return False
        return present.state is State.RUNNING and present.attempt == run.attempt

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
