"""The lanes of `MemoryJobs`."""

import time
from itertools import accumulate

from queuecast.adapters.memory.jobs import Entry, MemoryJobs
from queuecast.domain.job import State
from queuecast.domain.lane import ATTENDANT_GONE_S, MAX_RESERVED_BYTES
from queuecast.ports.lanes import LanePosition, LaneStats, Reservation


class MemoryLanes:
    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs

    def reserve(
        self, lane: str, worker: str, rows: int, *, clears_bell: bool, stays: bool = False
    ) -> tuple[list[Reservation], bool]:
        with self._jobs.lock:
            if clears_bell:
                self._jobs.bells.pop(lane, None)
            waiting = [entry for entry in self._jobs.lanes.get(lane, ()) if entry.worker is None]
            attendant, since = self._jobs.attended.get(lane, (worker, 0.0))
            is_attended = attendant != worker and time.time() - since < 0.1
            all_rows, all_bytes = sum(entry.rows for entry in waiting), sum(entry.bytes for entry in waiting)
            if is_attended and all_rows * 2 < rows and all_bytes * 2 < MAX_RESERVED_BYTES:
                return [], False
            taken = waiting[: _count_within(waiting, rows)]
            for entry in taken:
                entry.worker, entry.renewed_at = worker, time.time()
            self._jobs.taken[lane] += len(taken)
            self._jobs.attended.pop(lane, None)
            if stays:
                self._jobs.attended[lane] = worker, time.time()
            must_ring = len(waiting) > len(taken) and self._jobs.must_ring(lane)
            reservations = [
                Reservation(lane, entry.id, entry.job_id, worker, self._jobs.snapshot(entry.job_id)) for entry in taken
            ]
            return reservations, must_ring

    def wait_for_job(self, lane: str, worker: str, timeout_s: float) -> bool:
        """Checks once and does not wait: in a test with one thread no job can come in between."""
        attendant, _ = self._jobs.attended.get(lane, ("", 0.0))
        return attendant == worker and any(entry.worker is None for entry in self._jobs.lanes.get(lane, ()))

    def detach(self, lane: str, worker: str) -> bool:
        with self._jobs.lock:
            if self._jobs.attended.get(lane, (worker, 0.0))[0] != worker:
                return False
            self._jobs.attended.pop(lane, None)
            is_waiting = any(entry.worker is None for entry in self._jobs.lanes.get(lane, ()))
            return is_waiting and self._jobs.must_ring(lane)

    def position(self, lane: str, job_id: str) -> LanePosition:
        with self._jobs.lock:
            waiting = [entry.job_id for entry in self._jobs.lanes.get(lane, ()) if entry.worker is None]
            position = waiting.index(job_id) + 1 if job_id in waiting else None
            return LanePosition(position, self._jobs.taken[lane])

    def renew(self, reservations: list[Reservation]) -> list[State | None]:
        with self._jobs.lock:
            return [self._renew(held) for held in reservations]

    def _renew(self, reservation: Reservation) -> State | None:
        entry = self._held(reservation)
        if entry is None:
            return None
        entry.renewed_at = time.time()
        return self._jobs.record(reservation.job_id).state

    def requeue(self, reservation: Reservation) -> bool:
        with self._jobs.lock:
            is_queued = self._held(reservation) and self._jobs.record(reservation.job_id).state is State.QUEUED
            if not is_queued:
                return False
            self._jobs.leave(reservation.job_id)
            return self._jobs.enter(reservation.job_id, reservation.lane)

    def reservations(self, silent_s: float = 0.0) -> list[Reservation]:
        with self._jobs.lock:
            return [
                Reservation(lane, entry.id, entry.job_id, entry.worker)
                for lane, entries in self._jobs.lanes.items()
                for entry in entries
                if entry.worker is not None and time.time() - entry.renewed_at >= silent_s
            ]

    def enqueue_due(self, now: float) -> list[str]:
        with self._jobs.lock:
            due = [
                job_id for at, job_id in sorted((at, job_id) for job_id, at in self._jobs.delayed.items()) if at <= now
            ]
            lanes = []
            for job_id in due:
                del self._jobs.delayed[job_id]
                lane = self._jobs.record(job_id).lane
                if self._jobs.enter(job_id, lane):
                    lanes.append(lane)
            return lanes

    def record_ring(self, lane: str) -> None:
        with self._jobs.lock:
            self._jobs.attended.pop(lane, None)
            if lane in self._jobs.lanes:
                self._jobs.bells[lane] = self._jobs.clock()

    def stats(self) -> list[LaneStats]:
        with self._jobs.lock:
            return [self._stats(lane, entries) for lane, entries in sorted(self._jobs.lanes.items())]

    def _stats(self, lane: str, entries: list[Entry]) -> LaneStats:
        waiting = [entry for entry in entries if entry.worker is None]
        oldest = waiting[0].at if waiting else None
        _, since = self._jobs.attended.get(lane, ("", 0.0))
        attended_at = self._jobs.clock() if time.time() - since < ATTENDANT_GONE_S else None
        return LaneStats(
            lane, len(waiting), len(entries) - len(waiting), oldest, self._jobs.bells.get(lane, attended_at)
        )

    def forget_workers(self, silent_s: float) -> None:
        return None

    def _held(self, reservation: Reservation) -> Entry | None:
        for entry in self._jobs.lanes.get(reservation.lane, ()):
            if entry.id == reservation.entry and entry.worker == reservation.worker:
                return entry
        return None


def _count_within(waiting: list[Entry], rows: int) -> int:
    """How many of the first entries fit into one claim; at least one."""
    sums = zip(accumulate(entry.rows for entry in waiting), accumulate(entry.bytes for entry in waiting), strict=True)
    return max(1, sum(n_rows <= rows and n_bytes <= MAX_RESERVED_BYTES for n_rows, n_bytes in sums))
