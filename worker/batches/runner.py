"""Runs a batch: plans it, schedules its chunks, and joins their parts when all are done.

It looks at the files that exist, so it can start again after any of its steps: with an outcome it returns that, with
all parts it joins them, with a plan it starts the missing chunks, and otherwise it plans.
"""

import time
from functools import partial
from typing import Any

from queuecast.domain.chunking import BatchOutcome, ChunkTotals, Plan
from queuecast.domain.job import Job
from queuecast.domain.model import Manifest
from queuecast.domain.work import BatchWork
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.models import ModelRegistry
from worker.batches.coordinator import ChunkCoordinator, progress_of
from worker.batches.part_files import join_bad_rows, join_parts
from worker.batches.planner import BatchPlanner
from worker.engine.contracts import FanOut, Report, Result
from worker.file_writing import disk_full_as_unavailable, sha256_of_file
from worker.models.loading import EstimatorCache


class BatchRunner:
    def __init__(
        self,
        models: ModelRegistry,
        estimators: EstimatorCache,
        planner: BatchPlanner,
        coordinator: ChunkCoordinator,
        progress: ChunkProgressStore,
        folders: BatchFiles,
    ) -> None:
        self._models = models
        self._estimators = estimators
        self._planner = planner
        self._coordinator = coordinator
        self._progress = progress
        self._folders = folders

    def run(self, job: Job, work: BatchWork, report: Report) -> Result | FanOut:
        """Raises InvalidInputError for a file that does not fit the model."""
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        with disk_full_as_unavailable():
            plan = self._folders.plan(job.id)
            if plan is None:
                plan = self._planner.plan(job, work, manifest, self._estimators.load(manifest), report)
            outcome = self._folders.outcome(job.id)
            if outcome is None:
                totals = self._totals_on_disk(job, plan)
                if totals.chunks < len(plan.ranges):
                    self._progress.open(job.id, plan.number)
                    schedule = partial(self._coordinator.schedule, job.id, plan)
                    return FanOut(progress_of(plan, totals), schedule, plan.ignored_columns)
                report(progress_of(plan, totals, "join"))
                outcome = self._folders.save_outcome(job.id, self._join(job, work, plan))
        return Result(_result(job, work, manifest, plan, outcome))

    def _totals_on_disk(self, job: Job, plan: Plan) -> ChunkTotals:
        """Before the join, a chunk whose part is no longer on the disk counts as not done."""
        done = self._progress.done(job.id, plan.number)
        if len(done) == len(plan.ranges):
            for index in done:
                if not self._folders.part(job.id, plan.number, index).exists():
                    self._progress.undo_done(job.id, plan.number, index)
        return self._progress.totals(job.id, plan.number)

    def _join(self, job: Job, work: BatchWork, plan: Plan) -> BatchOutcome:
        began = time.perf_counter()
        indices = [each.index for each in plan.ranges]
        target = self._folders.result(job.id, job.attempt, work.output_format)
        join_parts([self._folders.part(job.id, plan.number, index) for index in indices], target, work.output_format)
        parts_of_bad_rows = [self._folders.bad_rows_of_part(job.id, plan.number, index) for index in indices]
        bad_rows = join_bad_rows(
            [path for path in parts_of_bad_rows if path.exists()], self._folders.bad_rows(job.id, job.attempt)
        )
        sha256 = sha256_of_file(target)
        return BatchOutcome(
            attempt=job.attempt,
            rows=plan.n_rows,
            bad_rows=bad_rows,
            format=work.output_format.value,
            size_bytes=target.stat().st_size,
            sha256=sha256,
            join_ms=round((time.perf_counter() - began) * 1000, 3),
        )


def _result(job: Job, work: BatchWork, manifest: Manifest, plan: Plan, outcome: BatchOutcome) -> dict[str, Any]:
    """The result in the job's record; the predictions are in the file."""
    return {
        "method": work.method.value,
        "rows": outcome.rows,
        "errors": outcome.bad_rows,
        "file": {"format": outcome.format, "size_bytes": outcome.size_bytes, "sha256": outcome.sha256},
        "model": manifest.model_info(),
        "chunks": len(plan.ranges),
        "timings": {
            "queue_ms": plan.queue_ms,
            "plan_ms": plan.plan_ms,
            "predict_ms": round(max((job.queued_at or plan.planned_at) - plan.planned_at, 0.0) * 1000, 3),
            "join_ms": outcome.join_ms,
        },
    }
