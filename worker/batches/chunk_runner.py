"""Runs a chunk: reads its range of the file, predicts, writes its part, and records the chunk as done.

The part is on the disk before the chunk is recorded as done, and that happens before its job ends. If the process dies
in between, the next run writes the same bytes to the same name, or finds the record and has nothing to do.
"""

from itertools import chain, islice

from queuecast.domain.errors import (
    Failure,
    JobStoppedError,
    QueuecastError,
    UnknownJobError,
    exception_text,
)
from queuecast.domain.findings.bounds import MAX_FINDINGS, FirstFindings
from queuecast.domain.job import Job
from queuecast.domain.lost_attempts import is_transient
from queuecast.domain.work import ChunkWork, OnError
from queuecast.logs import get_logger
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.batches.coordinator import BATCH_ENDED, ChunkCoordinator
from worker.batches.part_files import write_bad_rows, write_part
from worker.batches.part_prediction import predict_part
from worker.engine.contracts import Result
from worker.file_writing import disk_full_as_unavailable
from worker.models.loading import EstimatorCache
from worker.tables.reader import read_range
from worker.tables.rows import BadRow

log = get_logger()


class ChunkRunner:
    def __init__(
        self,
        models: ModelRegistry,
        estimators: EstimatorCache,
        files: FileStore,
        coordinator: ChunkCoordinator,
        progress: ChunkProgressStore,
        folders: BatchFiles,
    ) -> None:
        self._models = models
        self._estimators = estimators
        self._files = files
        self._coordinator = coordinator
        self._progress = progress
        self._folders = folders

    def run(self, job: Job, work: ChunkWork) -> Result:
        """An error that no retry can repair ends the batch before it ends the chunk."""
        batch_id = job.parent or ""
        if not self._coordinator.is_needed(batch_id, work.plan):
            raise QueuecastError(f"batch {batch_id} has ended", code=BATCH_ENDED)
        if self._progress.is_done(batch_id, work.plan, work.file_range.index):
            # An earlier run died after it recorded the chunk, perhaps before it checked whether the batch was complete.
            self._coordinator.recheck(batch_id, work.plan)
            return Result({})
        try:
            return self._predict(batch_id, job, work)
        except (JobStoppedError, UnknownJobError):
            raise
        except QueuecastError as error:
            if not is_transient(error):
                self._coordinator.fail(batch_id, error.failure)
            raise
        except Exception as error:
            log.exception("chunk_crashed", job_id=job.id)
            detail = f"{work.file_range.rows_text}: {exception_text(error)}"
            self._coordinator.fail(batch_id, Failure("run_failed", detail))
            raise

    def _predict(self, batch_id: str, job: Job, work: ChunkWork) -> Result:
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        estimator = self._estimators.load(manifest)
        batch, index = work.batch, work.file_range.index
        path = self._files.path(batch.file_id)
        read = read_range(
            path, batch.file_format, manifest.signature, work.file_range, batch.id_column, batch.extra_columns
        )
        _require_no_bad_row(read.bad_rows, batch.on_error)
        read, columns = predict_part(estimator, manifest, batch.method, read)
        _require_no_bad_row(read.bad_rows, batch.on_error)
        with disk_full_as_unavailable():
            bad_rows = self._folders.bad_rows_of_part(batch_id, work.plan, index)
            if read.bad_rows:
                write_bad_rows(bad_rows, read.bad_rows)
            else:
                bad_rows.unlink(missing_ok=True)  # of an earlier run that died, and in which the estimator failed
            target = self._folders.part(batch_id, work.plan, index)
            write_part(target, batch.output_format, read, columns, batch.id_column)
        self._coordinator.commit(batch_id, work, work.file_range.n_rows, len(read.bad_rows))
        return Result({"rows": work.file_range.n_rows, "errors": len(read.bad_rows)})


def _require_no_bad_row(bad_rows: list[BadRow], on_error: OnError) -> None:
    if on_error is OnError.FAIL and bad_rows:
        total = sum(bad.total for bad in bad_rows)
        found = chain.from_iterable(bad.findings for bad in bad_rows)
        raise FirstFindings(tuple(islice(found, MAX_FINDINGS)), total).refusal()
