"""A local service with batches: workers, a reaper that repairs, and processes that die at a given call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.memory.batches import MemoryChunkProgress
from queuecast.domain.chunking import Plan
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.job import Failure, Job, JobType, ModelRef
from queuecast.domain.lane import Lane
from queuecast.domain.work import BatchWork, Method, OnError
from tests.worker.model_fixtures import MODEL, RETENTION_S, LocalService
from worker.batches.chunk_runner import ChunkRunner
from worker.batches.coordinator import BatchLimits, ChunkCoordinator
from worker.batches.planner import BatchPlanner
from worker.batches.runner import BatchRunner
from worker.engine.recovery import JobRecovery, RecoveryLimits


class Killed(BaseException):
    """The process dies here. No code catches it."""


class LocalBatchService(LocalService):
    """chunk_rows: rows of one chunk."""

    def __init__(self, root: Path, chunk_rows: int = 10) -> None:
        super().__init__(root)
        self.progress = MemoryChunkProgress(self.jobs)
        self.folders = BatchFolders(root / "batches")
        self.batch_folder = root / "batches"
        rules = BatchLimits(RETENTION_S, chunk_timeout_s=30.0)
        self.batches = ChunkCoordinator(self.jobs, self.progress, self.folders, self.bells, self.clock, rules)
        planner = BatchPlanner(self.files, self.progress, self.folders, self.clock, chunk_rows)
        runs = BatchRunner(self.models, self.estimators, planner, self.batches, self.progress, self.folders)
        self.chunks = ChunkRunner(self.models, self.estimators, self.files, self.batches, self.progress, self.folders)
        self.runners[JobType.BATCH] = lambda job, work, rows, report: runs.run(job, work, report)
        self.runners[JobType.CHUNK] = lambda job, work, rows, report: self.chunks.run(job, work)

    def batch_work(self, content: bytes, media_type: str = "text/csv", **given: Any) -> BatchWork:
        stored = self.stored(content, media_type)
        formats = {"text/csv": FileFormat.CSV, "application/x-ndjson": FileFormat.NDJSON}
        options = {
            "method": Method.PREDICT,
            "output_format": OutputFormat.CSV,
            "on_error": OnError.SKIP,
        } | given
        return BatchWork(
            file_id=stored.id,
            file_sha256=stored.sha256,
            file_format=formats.get(media_type, FileFormat.PARQUET),
            **options,
        )

    def batch(self, work: BatchWork, version: int = 1) -> Job:
        """A batch that waits to be planned."""
        return self.submitted(JobType.BATCH, ModelRef(MODEL, version), work)

    def fanned_out(self, work: BatchWork) -> Job:
        job = self.batch(work)
        self.execution.drain("batch")
        present = self.jobs.read(job.id)
        assert present.is_fanned_out, f"{present.state}: {present.failure}"
        return present

    def run_chunk(self, batch_id: str) -> None:
        """A worker serves the batch's lane for one bell."""
        self.execution.drain(str(Lane.of_chunks(batch_id)))

    def settle(self) -> None:
        """Workers serve the lanes and the reaper repairs batches until no lane has a job and no batch is live."""
        for _ in range(200):
            self.lanes.enqueue_due(float("inf"))
            depths = self.lanes.stats()
            for depth in depths:
                self.execution.drain(depth.lane)
            self.batches.repair()
            if not self.lanes.stats() and not self.progress.live():
                return
        raise AssertionError(f"not settled: {self.lanes.stats()}")

    def ended_batch(self, work: BatchWork) -> Job:
        job = self.batch(work)
        self.settle()
        return self.jobs.read(job.id)

    def answer_file(self, job: Job) -> bytes:
        outcome = self.folders.outcome(job.id)
        assert outcome is not None, f"{job.state}: {job.failure}"
        return self.folders.result(job.id, outcome.attempt, OutputFormat(outcome.format)).read_bytes()

    def error_file(self, job: Job) -> bytes:
        outcome = self.folders.outcome(job.id)
        assert outcome is not None
        return self.folders.bad_rows(job.id, outcome.attempt).read_bytes()

    def plan(self, job: Job) -> Plan:
        plan = self.folders.plan(job.id)
        assert plan is not None
        return plan

    def recover_dead(self) -> None:
        """The reaper hands back the jobs of dead workers, as it does when their leases end."""
        rules = RecoveryLimits(lease_s=30.0, retention_s=RETENTION_S)
        recovery = JobRecovery(self.jobs, self.lanes, self.bells, lambda lane: 0, self.clock, rules, jitter=lambda: 0.5)
        for held in self.lanes.reservations():
            recovery.recover(held, Failure("worker_lost", "the process died"))


class Dying:
    """Kills the process at a call of the method, before or after its work. spared: earlier calls that go through."""

    def __init__(self, owner: Any, name: str, *, after: bool, spared: int = 0) -> None:
        self._name, self._after, self._spared = name, after, spared
        self._original: Callable[..., Any] = getattr(owner, name)
        self.deaths = 0
        setattr(owner, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._spared or self.deaths:
            self._spared -= not self.deaths
            return self._original(*args, **kwargs)
        self.deaths += 1
        if self._after:
            self._original(*args, **kwargs)
        raise Killed(self._name)
