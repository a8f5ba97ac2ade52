"""A local service with batches: workers, and a reaper that repairs."""

from pathlib import Path
from typing import Any

from queuecast.adapters.memory.batches import MemoryChunkProgress
from queuecast.domain.chunking import Plan
from queuecast.domain.errors import Failure
from queuecast.domain.file_formats import FileFormat, OutputFormat
from queuecast.domain.job import Job, JobType, ModelRef
from queuecast.domain.lane import Lane
from queuecast.domain.work import BatchWork, Method, OnError
from tests.worker.model_fixtures import MODEL, RETENTION_S, LocalService
from worker.batches.chunk_runner import ChunkRunner
from worker.batches.coordinator import BatchLimits, ChunkCoordinator
from worker.batches.planner import BatchPlanner
from worker.batches.runner import BatchRunner
from worker.engine.recovery import JobRecovery, RecoveryLimits


class LocalBatchService(LocalService):
    """chunk_rows: rows of one chunk."""

    def __init__(self, root: Path, chunk_rows: int = 10) -> None:
        super().__init__(root)
        self.progress = MemoryChunkProgress(self.jobs)
        self.batch_folder = root / "batches"
        limits = BatchLimits(RETENTION_S, chunk_timeout_s=30.0)
        self.batches = ChunkCoordinator(self.jobs, self.progress, self.folders, self.doorbell, self.clock, limits)
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
        self.consumer.drain("batch")
        present = self.jobs.read(job.id)
        assert present.is_fanned_out, f"{present.state}: {present.failure}"
        return present

    def run_chunk(self, batch_id: str) -> None:
        """A worker serves the batch's lane for one bell."""
        self.consumer.drain(str(Lane.of_chunks(batch_id)))

    def run_until_idle(self) -> None:
        """Workers serve the lanes and the reaper repairs batches until no lane has a job and no batch is live."""
        for _ in range(200):
            self.lanes.enqueue_due(float("inf"))
            for stats in self.lanes.stats():
                self.consumer.drain(stats.lane)
            self.batches.repair()
            if not self.lanes.stats() and not self.progress.live():
                return
        raise AssertionError(f"not idle: {self.lanes.stats()}")

    def ended_batch(self, work: BatchWork) -> Job:
        job = self.batch(work)
        self.run_until_idle()
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

    def recover_jobs_of_dead_workers(self) -> None:
        """The reaper hands back the jobs of dead workers, as it does when their leases end."""
        limits = RecoveryLimits(lease_s=30.0, retention_s=RETENTION_S)
        recovery = JobRecovery(
            self.jobs, self.lanes, self.doorbell, lambda lane: 0, self.clock, limits, jitter=lambda: 0.5
        )
        for held in self.lanes.reservations():
            recovery.recover(held, Failure("worker_lost", "the process died"))
