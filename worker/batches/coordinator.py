"""The use case around a batch's chunks: starts them, counts them, and updates the batch when they end.

No worker holds a batch that is fanned out, so any process may do each step here, and twice: a chunk's id follows from
its plan and index, a chunk counts once, and each write of the batch's record names its revision. `repair` finishes the
steps of a process that died.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from queuecast.domain.chunking import WINDOW, ChunkTotals, FileRange, Plan, chunk_id
from queuecast.domain.errors import UnavailableError, UnknownJobError
from queuecast.domain.job import Failure, Job, JobType, Progress, State
from queuecast.domain.lane import Lane
from queuecast.domain.retry import RETENTION_OF_DEAD_LETTERS
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
        boards: ChunkProgressStore,
        files: BatchFiles,
        bells: Doorbell,
        clock: Clock,
        rules: BatchLimits,
    ) -> None:
        self._jobs = jobs
        self._boards = boards
        self._files = files
        self._bells = bells
        self._clock = clock
        self._rules = rules
        self._seen: tuple[str, Plan] | None = None

    def wants(self, batch_id: str, plan: int) -> bool:
        """Whether a chunk of that plan is still worth running."""
        try:
            is_over = self._jobs.read(batch_id).is_final
        except UnknownJobError:
            is_over = True
        self._seen = None  # the folder may have been lost, and the batch planned again
        return not is_over and self._plan(batch_id, plan) is not None

    def fill(self, batch_id: str, plan: Plan) -> None:
        """Makes the batch's next chunks, so that at most `WINDOW` wait or run. Joins it when all are done."""
        marks = self._boards.done(batch_id, plan.number)
        undone = islice((cut for cut in plan.cuts if cut.index not in marks), WINDOW)
        wanted = {chunk_id(batch_id, plan.number, cut.index): cut for cut in undone}
        if not wanted:
            self._gather(batch_id)
            return
        present = self._boards.chunks(list(wanted))
        for job_id, chunk in present.items():
            if chunk.failure is not None and chunk.failure.code != BATCH_ENDED:
                self._lose(batch_id, wanted[job_id], chunk)
                return
        missing = {job_id: cut for job_id, cut in wanted.items() if job_id not in present or present[job_id].is_final}
        if missing:
            self._add(batch_id, plan, missing)

    def _add(self, batch_id: str, plan: Plan, missing: dict[str, FileRange]) -> None:
        try:
            batch, (work, _) = self._jobs.read(batch_id), self._jobs.read_work(batch_id)
        except UnknownJobError:
            return
        if not batch.is_fanned_out or not isinstance(work, BatchWork):
            return
        chunks = [(self._chunk(batch, job_id), ChunkWork(work, plan.number, cut)) for job_id, cut in missing.items()]
        if self._boards.add(chunks):
            self._bells.ring(str(Lane.of_chunks(batch_id, batch.priority)))
        log.info("chunks_made", job_id=batch_id, count=len(chunks))

    def _chunk(self, batch: Job, job_id: str) -> Job:
        return Job(
            id=job_id,
            type=JobType.CHUNK,
            model=batch.model,
            created_at=self._clock(),
            max_attempts=batch.max_attempts,
            lane=str(Lane.of_chunks(batch.id, batch.priority)),
            priority=batch.priority,
            timeout_s=min(self._rules.chunk_timeout_s, batch.timeout_s),
            parent=batch.id,
        ).accepted()

    def commit(self, batch_id: str, work: ChunkWork, rows: int, bad: int) -> None:
        """A chunk's part is on the disk: counts it, and has the batch joined when it was the last."""
        plan = self._plan(batch_id, work.plan)
        if plan is None:
            return
        self._count(batch_id, plan, self._boards.record_done(batch_id, work.plan, work.cut.index, rows, bad))

    def look(self, batch_id: str, number: int) -> None:
        """Updates the batch after a chunk was recorded as done."""
        plan = self._plan(batch_id, number)
        if plan is not None:
            self._count(batch_id, plan, self._boards.totals(batch_id, number))

    def _count(self, batch_id: str, plan: Plan, tally: ChunkTotals) -> None:
        if tally.chunks >= len(plan.cuts):
            self._gather(batch_id)
            return
        self._written(batch_id, lambda batch: _counted(batch, plan, tally))
        if len(plan.cuts) > WINDOW and tally.chunks % (WINDOW // 2) == 0:
            self.fill(batch_id, plan)

    def fail(self, batch_id: str, failure: Failure) -> None:
        """Ends the batch; its other chunks notice when they are claimed."""
        self._written(batch_id, lambda batch: batch.failed(failure, self._clock(), self._rules.retention_s))

    def _lose(self, batch_id: str, cut: FileRange, chunk: Job) -> None:
        found = chunk.failure
        if found is None:
            return
        failure = replace(found, detail=f"{cut.rows_text}: {found.detail}")
        kept_s = self._rules.retention_s * RETENTION_OF_DEAD_LETTERS
        if chunk.lost_attempts >= chunk.max_attempts:
            self._written(batch_id, lambda batch: batch.given_up(failure, self._clock(), kept_s))
        else:
            self.fail(batch_id, failure)

    def _gather(self, batch_id: str) -> None:
        self._written(batch_id, lambda batch: batch.ready_to_join(self._clock()))

    def repair(self) -> None:
        """One look at every live batch. Raises UnavailableError when the store is away."""
        for batch_id, plan in self._boards.live().items():
            try:
                self._repair(batch_id, plan)
            except UnavailableError:
                raise
            except Exception:  # one bad record or folder must not keep all others from being repaired
                log.exception("batch_not_repaired", job_id=batch_id)

    def _repair(self, batch_id: str, number: int) -> None:
        now = self._clock()
        try:
            batch = self._jobs.read(batch_id)
        except UnknownJobError:
            self._boards.close(batch_id, number, now)
            return
        if batch.is_final:
            if batch.state is State.SUCCEEDED:
                self._files.delete_parts(batch_id)
            self._boards.close(batch_id, number, batch.delete_at or now)
        elif batch.is_fanned_out and now >= (batch.started_at or now) + batch.timeout_s:
            detail = f"the batch took longer than {batch.timeout_s:g} s and was ended"
            self.fail(batch_id, Failure("timeout", detail))
        elif batch.is_fanned_out:
            plan = self._files.plan(batch_id)
            if plan is None or plan.number != number:
                self._gather(batch_id)  # its folder was lost: the next run plans it again
            else:
                self.fill(batch_id, plan)

    def _plan(self, batch_id: str, number: int) -> Plan | None:
        if self._seen is None or (self._seen[0], self._seen[1].number) != (batch_id, number):
            plan = self._files.plan(batch_id)
            if plan is None or plan.number != number:
                return None
            self._seen = batch_id, plan
        return self._seen[1]

    def _written(self, batch_id: str, move: Callable[[Job], Job | None]) -> None:
        """Moves the batch if its chunks are still running."""

        def decide(present: Job) -> Job | None:
            return move(present) if present.is_fanned_out else None

        moved = update_job(self._jobs, self._bells, batch_id, decide)
        if moved is not None and moved.state is not State.RUNNING:
            code = moved.failure.code if moved.failure else None
            log.info("batch_moved", job_id=batch_id, state=moved.state, code=code)


def progress_of(plan: Plan, tally: ChunkTotals, stage: str = "predict") -> Progress:
    """Committed rows of all rows, the bad ones among them."""
    return Progress(tally.rows, plan.n_rows, "rows", stage, errors=tally.bad)


def _counted(batch: Job, plan: Plan, tally: ChunkTotals) -> Job | None:
    """The batch with that progress, unless its record shows more already."""
    if batch.progress is not None and batch.progress.stage == "predict" and batch.progress.done >= tally.rows:
        return None
    return batch.progressed(progress_of(plan, tally))
