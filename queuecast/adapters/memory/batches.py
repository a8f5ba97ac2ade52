"""The progress of batches in memory, for tests. The same suite tests it and the one in Redis."""

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.chunking import ChunkTotals
from queuecast.domain.errors import UnknownJobError
from queuecast.domain.job import Job
from queuecast.domain.work import ChunkWork


class MemoryChunkProgress:
    """jobs: holds the chunks."""

    def __init__(self, jobs: MemoryJobs) -> None:
        self._jobs = jobs
        self._done: dict[tuple[str, int], dict[int, tuple[int, int]]] = {}
        self._live: dict[str, int] = {}

    def open(self, batch_id: str, plan: int) -> None:
        self._live[batch_id] = plan

    def live(self) -> dict[str, int]:
        return dict(self._live)

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        self._live.pop(batch_id, None)

    def record_done(self, batch_id: str, plan: int, index: int, rows: int, bad_rows: int) -> ChunkTotals:
        with self._jobs.lock:
            self._done.setdefault((batch_id, plan), {}).setdefault(index, (rows, bad_rows))
            return self.totals(batch_id, plan)

    def undo_done(self, batch_id: str, plan: int, index: int) -> None:
        self._done.get((batch_id, plan), {}).pop(index, None)

    def is_done(self, batch_id: str, plan: int, index: int) -> bool:
        return index in self._done.get((batch_id, plan), {})

    def done(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        return dict(self._done.get((batch_id, plan), {}))

    def totals(self, batch_id: str, plan: int) -> ChunkTotals:
        sizes = self.done(batch_id, plan).values()
        return ChunkTotals(len(sizes), sum(rows for rows, _ in sizes), sum(bad for _, bad in sizes))

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        must_ring = False
        for job, work in chunks:
            present = self.chunks([job.id]).get(job.id)
            if present is not None and not present.is_final:
                continue
            if present is not None:
                self._jobs.delete(job.id)
            must_ring = self._jobs.create(job, work).must_ring or must_ring
        return must_ring

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        found = {}
        for job_id in ids:
            try:
                found[job_id] = self._jobs.read(job_id)
            except UnknownJobError:
                continue
        return found
