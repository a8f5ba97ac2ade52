"""The run of a batch: plans it, sets its chunks going, and joins their parts when all are there.

It looks at the files that exist, so it can start again after any of its steps: with an outcome it returns that, with
all parts it joins them, with a plan it starts the missing chunks, and otherwise it plans.
"""

import hashlib
import time
from pathlib import Path
from typing import Any

from queuecast.domain.chunking import BatchOutcome, ChunkTotals, Plan
from queuecast.domain.job import Job
from queuecast.domain.model import Manifest
from queuecast.domain.work import BatchWork
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.models import ModelRegistry
from worker.batches.coordinator import ChunkCoordinator, progress_of
from worker.batches.part_files import join_errors, join_parts
from worker.batches.planner import BatchPlanner
from worker.engine.contracts import FanOut, Report, Result
from worker.files import disk_full_as_unavailable
from worker.models.loading import EstimatorCache


class BatchRunner:
    def __init__(
        self,
        models: ModelRegistry,
        estimators: EstimatorCache,
        planning: BatchPlanner,
        batches: ChunkCoordinator,
        boards: ChunkProgressStore,
        folders: BatchFiles,
    ) -> None:
        self._models = models
        self._estimators = estimators
        self._planning = planning
        self._batches = batches
        self._boards = boards
        self._folders = folders

    def run(self, job: Job, work: BatchWork, report: Report) -> Result | FanOut:
        """Raises InvalidInputError for a file that does not fit the model."""
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        with disk_full_as_unavailable():
            plan = self._folders.plan(job.id)
            if plan is None:
                plan = self._planning.plan(job, work, manifest, self._estimators.of(manifest), report)
            outcome = self._folders.outcome(job.id)
            if outcome is None:
                tally = self._present(job, plan)
                if tally.chunks < len(plan.cuts):
                    self._boards.open(job.id, plan.number)
                    return FanOut(progress_of(plan, tally), lambda: self._batches.fill(job.id, plan))
                report(progress_of(plan, tally, "join"))
                outcome = self._folders.save_outcome(job.id, self._joined(job, work, plan))
        return Result(_value(job, work, manifest, plan, outcome))

    def _present(self, job: Job, plan: Plan) -> ChunkTotals:
        """What is done, without the marks of parts that are not on the disk any more."""
        marks = self._boards.done(job.id, plan.number)
        if len(marks) == len(plan.cuts):
            for index in marks:
                if not self._folders.part(job.id, plan.number, index).exists():
                    self._boards.undo_done(job.id, plan.number, index)
        return self._boards.totals(job.id, plan.number)

    def _joined(self, job: Job, work: BatchWork, plan: Plan) -> BatchOutcome:
        began = time.perf_counter()
        indices = [cut.index for cut in plan.cuts]
        target = self._folders.result(job.id, job.attempt, work.output_format)
        join_parts([self._folders.part(job.id, plan.number, index) for index in indices], target, work.output_format)
        bad = [self._folders.bad_rows(job.id, plan.number, index) for index in indices]
        errors = join_errors([path for path in bad if path.exists()], self._folders.errors(job.id, job.attempt))
        sha256 = _sha256_of(target)
        return BatchOutcome(
            attempt=job.attempt,
            rows=plan.n_rows,
            errors=errors,
            format=work.output_format.value,
            size_bytes=target.stat().st_size,
            sha256=sha256,
            join_ms=round((time.perf_counter() - began) * 1000, 3),
        )


def _value(job: Job, work: BatchWork, manifest: Manifest, plan: Plan, outcome: BatchOutcome) -> dict[str, Any]:
    """The result as it is in the job's record; the answers are in the file."""
    return {
        "method": work.method.value,
        "rows": outcome.rows,
        "errors": outcome.errors,
        "file": {"format": outcome.format, "size_bytes": outcome.size_bytes, "sha256": outcome.sha256},
        "model": {
            "name": manifest.model,
            "version": manifest.version,
            "sha256": manifest.sha256,
            "sklearn": manifest.environment["sklearn"],
        },
        "chunks": len(plan.cuts),
        "timings": {
            "queue_ms": plan.queue_ms,
            "plan_ms": plan.plan_ms,
            "predict_ms": round(max((job.queued_at or plan.planned_at) - plan.planned_at, 0.0) * 1000, 3),
            "join_ms": outcome.join_ms,
        },
    }


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
