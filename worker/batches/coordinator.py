"""The use case around a batch's chunks: starts them, counts them, and updates the batch when they end.

No worker holds a batch that is fanned out, so any process may do each step here, and twice: a chunk's id follows from
its plan and index, a chunk counts once, and each write of the batch's record names its revision. `repair` finishes the
steps of a process that died.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from queuecast.domain.chunking import MAX_OPEN_CHUNKS, ChunkTotals, FileRange, Plan, chunk_id
from queuecast.domain.errors import Failure, UnavailableError, UnknownJobError
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.lost_attempts import RETENTION_OF_DEAD_LETTERS
from queuecast.domain.work import BatchWork, ChunkWork
from queuecast.job_updates import update_job
from queuecast.logs import get_logger
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.clock import Clock
from queuecast.ports.doorbell import Doorbell
from queuecast.ports.jobs import JobStore

log = get_logger()

BATCH_ENDED = "batch_ended"
"""The failure code of a chunk whose batch has ended."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    retention_s: float
    chunk_timeout_s: float


class ChunkCoordinator:
    def __init__(
        self,
        jobs: JobStore,
        progress: ChunkProgressStore,
        folders: BatchFiles,
        doorbell: Doorbell,
        clock: Clock,
        limits: BatchLimits,
    ) -> None:
        self._jobs = jobs
        self._progress = progress
        self._folders = folders
        self._doorbell = doorbell
        self._clock = clock
        self._limits = limits
        self._last_plan: tuple[str, Plan] | None = None

    def is_needed(self, batch_id: str, plan: int) -> bool:
        """Whether a chunk of that plan is still worth running."""
        try:
            is_over = self._jobs.read(batch_id).is_final
        except UnknownJobError:
            is_over = True
        self._last_plan = None  # the folder may have been lost, and the batch planned again
        return not is_over and self._plan(batch_id, plan) is not None

    def schedule(self, batch_id: str, plan: Plan) -> None:
        """Adds the batch's next chunks: at most `MAX_OPEN_CHUNKS` wait or run. Queues the join when all are done."""
        done = self._progress.done(batch_id, plan.number)
        remaining = islice((each for each in plan.ranges if each.index not in done), MAX_OPEN_CHUNKS)
        wanted = {chunk_id(batch_id, plan.number, each.index): each for each in remaining}
        if not wanted:
            self.queue_join(batch_id)
            return
        existing = self._progress.chunks(list(wanted))
        for job_id, chunk in existing.items():
            if chunk.failure is not None and chunk.failure.code != BATCH_ENDED:
                self.fail_from_chunk(batch_id, wanted[job_id], chunk, chunk.failure)
                return
        missing = {
            job_id: file_range
            for job_id, file_range in wanted.items()
            if job_id not in existing or existing[job_id].is_final
        }
        if missing:
            self._add_chunks(batch_id, plan, missing)

    def _add_chunks(self, batch_id: str, plan: Plan, missing: dict[str, FileRange]) -> None:
        try:
            batch, (work, _) = self._jobs.read(batch_id), self._jobs.read_work(batch_id)
        except UnknownJobError:
            return
        if not batch.is_fanned_out or not isinstance(work, BatchWork):
            return
        chunks = [
            (self._chunk(batch, job_id), ChunkWork(work, plan.number, file_range))
            for job_id, file_range in missing.items()
        ]
        if self._progress.add(chunks):
            self._doorbell.ring(str(Lane.of_chunks(batch_id, batch.priority)))
        log.info("chunks_added", job_id=batch_id, count=len(chunks))

    def _chunk(self, batch: Job, job_id: str) -> Job:
        return Job(
            id=job_id,
            type=JobType.CHUNK,
            model=batch.model,
            created_at=self._clock(),
            max_attempts=batch.max_attempts,
            lane=str(Lane.of_chunks(batch.id, batch.priority)),
            priority=batch.priority,
            timeout_s=min(self._limits.chunk_timeout_s, batch.timeout_s),
            parent=batch.id,
        ).accepted()

    def commit(self, batch_id: str, work: ChunkWork, rows: int, bad_rows: int) -> None:
        """Records a chunk whose part is on the disk, and queues the join after the last one."""
        plan = self._plan(batch_id, work.plan)
        if plan is not None:
            totals = self._progress.record_done(batch_id, work.plan, work.file_range.index, rows, bad_rows)
            self._update_progress(batch_id, plan, totals)

    def recheck(self, batch_id: str, number: int) -> None:
        """Updates the batch after a chunk was recorded as done."""
        plan = self._plan(batch_id, number)
        if plan is not None:
            self._update_progress(batch_id, plan, self._progress.totals(batch_id, number))

    def _update_progress(self, batch_id: str, plan: Plan, totals: ChunkTotals) -> None:
        if totals.chunks >= len(plan.ranges):
            self.queue_join(batch_id)
            return
        self._update(batch_id, lambda batch: _with_progress(batch, plan, totals))
        if len(plan.ranges) > MAX_OPEN_CHUNKS and totals.chunks % (MAX_OPEN_CHUNKS // 2) == 0:
            self.schedule(batch_id, plan)

    def fail(self, batch_id: str, failure: Failure) -> None:
        """Ends the batch; its other chunks notice when they are claimed."""
        self._update(batch_id, lambda batch: batch.failed(failure, self._clock(), self._limits.retention_s))

    def fail_from_chunk(self, batch_id: str, file_range: FileRange, chunk: Job, cause: Failure) -> None:
        """Ends the batch because one of its chunks failed; a dead letter if the chunk used up its attempts."""
        failure = replace(cause, detail=f"{file_range.rows_text}: {cause.detail}")
        if chunk.lost_attempts >= chunk.max_attempts:
            retention_s = self._limits.retention_s * RETENTION_OF_DEAD_LETTERS
            self._update(batch_id, lambda batch: batch.given_up(failure, self._clock(), retention_s))
        else:
            self.fail(batch_id, failure)

    def queue_join(self, batch_id: str) -> None:
        """Puts the batch back into its lane, for a worker to join the parts."""
        self._update(batch_id, lambda batch: batch.ready_to_join(self._clock()))

    def repair(self) -> None:
        """Finishes the interrupted steps of every live batch. Raises UnavailableError when the store is away."""
        for batch_id, plan in self._progress.live().items():
            try:
                self._repair(batch_id, plan)
            except UnavailableError:
                raise
            except Exception:  # one bad record or folder must not keep the other batches from their repair
                log.exception("batch_not_repaired", job_id=batch_id)

    def _repair(self, batch_id: str, number: int) -> None:
        now = self._clock()
        try:
            batch = self._jobs.read(batch_id)
        except UnknownJobError:
            self._progress.close(batch_id, number, now)
            return
        if batch.is_final:
            if batch.state is State.SUCCEEDED:
                self._folders.delete_parts(batch_id)
            self._progress.close(batch_id, number, batch.delete_at or now)
        elif batch.is_fanned_out and now >= (batch.started_at or now) + batch.timeout_s:
            detail = f"the batch took longer than {batch.timeout_s:g} s and was ended"
            self.fail(batch_id, Failure("timeout", detail))
        elif batch.is_fanned_out:
            plan = self._folders.plan(batch_id)
            if plan is None or plan.number != number:
                self.queue_join(batch_id)  # its folder was lost: the next run plans it again
            else:
                self.schedule(batch_id, plan)

    def _plan(self, batch_id: str, number: int) -> Plan | None:
        if self._last_plan is None or (self._last_plan[0], self._last_plan[1].number) != (batch_id, number):
            plan = self._folders.plan(batch_id)
            if plan is None or plan.number != number:
                return None
            self._last_plan = batch_id, plan
        return self._last_plan[1]

    def _update(self, batch_id: str, move: Callable[[Job], Job | None]) -> None:
        """Moves the batch if its chunks are still running."""

        def decide(batch: Job) -> Job | None:
            return move(batch) if batch.is_fanned_out else None

        moved = update_job(self._jobs, self._doorbell, batch_id, decide)
        if moved is not None and moved.state is not State.RUNNING:
            code = moved.failure.code if moved.failure else None
            log.info("batch_moved", job_id=batch_id, state=moved.state, code=code)


def progress_of(plan: Plan, totals: ChunkTotals, stage: str = "predict") -> Progress:
    """The rows of the chunks that are done, bad rows included, out of all rows."""
    return Progress(totals.rows, plan.n_rows, "rows", stage, errors=totals.bad_rows)


def _with_progress(batch: Job, plan: Plan, totals: ChunkTotals) -> Job | None:
    """The batch with that progress, unless its record shows more already."""
    if batch.progress is not None and batch.progress.stage == "predict" and batch.progress.done >= totals.rows:
        return None
    return batch.progressed(progress_of(plan, totals))
