"""The run of a chunk: its cut of the file in, a part of the answer out, and a mark on its batch's board.

The part is on the disk before the chunk is recorded as done, and that happens before its job ends. If the process dies
in between, the next run writes the same bytes to the same name, or finds the record and has nothing to do.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from queuecast.domain.batch import OnError
from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    JobStoppedError,
    QueuecastError,
    RunFailedError,
    UnknownJobError,
    raised,
)
from queuecast.domain.job import Failure, Job, failure_of
from queuecast.domain.model import Manifest
from queuecast.domain.retry import is_transient
from queuecast.domain.work import BatchWork, ChunkWork
from queuecast.logs import get_logger
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry
from worker.batches.coordinator import BATCH_ENDED, ChunkCoordinator
from worker.batches.part_files import answer_columns, write_errors, write_part
from worker.engine.contracts import Result
from worker.files import disk_full_as_unavailable
from worker.models.frames import frame_of
from worker.models.inference import require_count
from worker.models.loading import EstimatorCache
from worker.tables.reader import BadRow, Part, read_range

log = get_logger()

MAX_RAISED = 100  # more failing rows than this mean that the model is broken, not the rows


class ChunkRunner:
    def __init__(
        self,
        models: ModelRegistry,
        estimators: EstimatorCache,
        files: FileStore,
        batches: ChunkCoordinator,
        boards: ChunkProgressStore,
        folders: BatchFiles,
    ) -> None:
        self._models = models
        self._estimators = estimators
        self._files = files
        self._batches = batches
        self._boards = boards
        self._folders = folders

    def run(self, job: Job, work: ChunkWork) -> Result:
        """A chunk that fails for good ends its batch first, and is only then over itself."""
        batch_id = job.parent or ""
        if not self._batches.wants(batch_id, work.plan):
            raise QueuecastError(f"batch {batch_id} has ended", code=BATCH_ENDED)
        if self._boards.is_done(batch_id, work.plan, work.cut.index):
            # An earlier run died after it recorded the chunk, perhaps before it checked whether the batch was complete.
            self._batches.look(batch_id, work.plan)
            return Result({})
        try:
            return self._answered(batch_id, job, work)
        except (JobStoppedError, UnknownJobError):
            raise
        except QueuecastError as error:
            if not is_transient(error):
                self._batches.fail(batch_id, failure_of(error))
            raise
        except Exception as error:
            detail = f"{work.cut.rows_text}: {raised(error)}"
            log.exception("chunk_crashed", job_id=job.id)
            self._batches.fail(batch_id, Failure("run_failed", detail))
            raise

    def _answered(self, batch_id: str, job: Job, work: ChunkWork) -> Result:
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        estimator = self._estimators.of(manifest)
        asked, index = work.batch, work.cut.index
        path = self._files.path(asked.file_id)
        part = read_range(path, asked.file_format, manifest.signature, work.cut, asked.id_column)
        if asked.on_error is OnError.FAIL and part.bad:
            raise _refused(part.bad)
        good, columns = answers_of(estimator, manifest, asked, part)
        if asked.on_error is OnError.FAIL and good.bad:
            raise _refused(good.bad)
        with disk_full_as_unavailable():
            bad_rows = self._folders.bad_rows(batch_id, work.plan, index)
            if good.bad:
                write_errors(bad_rows, good.bad)
            else:
                bad_rows.unlink(missing_ok=True)  # of a run that died, and on whose rows the estimator raised then only
            target = self._folders.part(batch_id, work.plan, index)
            write_part(target, asked.output_format, good, columns, asked.id_column)
        self._batches.commit(batch_id, work, work.cut.n_rows, len(good.bad))
        return Result({"rows": work.cut.n_rows, "errors": len(good.bad)})


def answers_of(estimator: Any, manifest: Manifest, asked: BatchWork, part: Part) -> tuple[Part, dict[str, Any]]:
    """The estimator's answers to the part's rows; rows on which it raises are found by halves, and become bad ones.

    Raises RunFailedError when there are more of those than can be for the rows' sake.
    """
    call = getattr(estimator, asked.method.value)
    rows = len(part.row_numbers)
    answered: list[tuple[int, int, dict[str, Any]]] = []
    failed: list[tuple[int, Exception]] = []
    spans = [(0, rows)] if rows else []
    while spans:
        start, end = spans.pop()
        try:
            raw = call(part.frame if end - start == rows else part.frame[start:end])
            columns = answer_columns(asked.method, raw, manifest.classes)
            for values in columns.values():
                require_count(len(values), end - start)
        except Exception as error:  # an estimator raises what it likes
            if end - start == 1:
                failed.append((start, error))
                if len(failed) > MAX_RAISED:
                    raise _failed(manifest, asked, part, error) from error
                continue
            middle = (start + end) // 2
            spans += [(middle, end), (start, middle)]
        else:
            answered.append((start, end, columns))
    if not failed:
        return part, answered[0][2] if answered else _no_answers(call, manifest, asked)
    bad = [BadRow(int(part.row_numbers[at]), None, "prediction_failed", raised(error)) for at, error in failed]
    kept = np.concatenate([np.arange(start, end) for start, end, _ in answered] or [np.arange(0)])
    good = replace(
        part,
        row_numbers=part.row_numbers[kept],
        ids=None if part.ids is None else part.ids.take(kept),
        bad=sorted([*part.bad, *bad], key=lambda each: each.row),
    )
    if not answered:
        return good, _no_answers(call, manifest, asked)
    names = list(answered[0][2])
    return good, {name: np.concatenate([columns[name] for _, _, columns in answered]) for name in names}


def _no_answers(call: Callable[[Any], Any], manifest: Manifest, asked: BatchWork) -> dict[str, Any]:
    """The columns of a part without a good row: those of the answers to the rows that came with the version, and none
    where the estimator raises on them too."""
    example = list(manifest.signature.example)
    with suppress(Exception):  # an estimator raises what it likes
        columns = answer_columns(asked.method, call(frame_of(manifest.signature, example)), manifest.classes)
        return {name: values[:0] for name, values in columns.items()}
    return {}


def _failed(manifest: Manifest, asked: BatchWork, part: Part, error: Exception) -> RunFailedError:
    detail = (
        f"{asked.method} of {manifest.model} version {manifest.version} raised on more than {MAX_RAISED} of rows "
        f"{part.row_numbers[0]:,} to {part.row_numbers[-1]:,}, at last {raised(error)}"
    )
    return RunFailedError(detail, code="prediction_failed")


def _refused(bad: list[BadRow]) -> QueuecastError:
    places = tuple(
        Finding(f"row {each.row}" + (f", column {each.column}" if each.column else ""), each.code, each.detail)
        for each in bad[:20]
    )
    return InvalidInputError(f"{places[0].pointer}: {places[0].detail}", places)
