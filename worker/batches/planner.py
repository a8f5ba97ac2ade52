"""Plans a batch: checks that the file is the accepted one, and splits it into chunks of about 0.3 s of model time."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from queuecast.domain.chunking import FileRange, Plan
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.job import Job, Progress
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout
from queuecast.domain.work import BatchWork
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from worker.engine.contracts import Report
from worker.file_writing import require_accepted_file
from worker.models.model_output import rows_within_bounds
from worker.tables.file_columns import ignored_in_parquet, require_columns
from worker.tables.parquet_files import open_parquet, row_groups
from worker.tables.reader import read_range
from worker.tables.splitting import split_file
from worker.tables.without_columns.object_reader import require_keys

CHUNK_S = 0.3  # much longer than a claim costs, much shorter than a prediction may wait
MIN_ROWS = 256  # below that a call of a pipeline costs as much for fewer rows
MAX_CHUNK_BYTES = 8 * 2**20


class BatchPlanner:
    def __init__(
        self, files: FileStore, progress: ChunkProgressStore, folders: BatchFiles, clock: Clock, max_chunk_rows: int
    ) -> None:
        self._files = files
        self._progress = progress
        self._folders = folders
        self._clock = clock
        self._max_chunk_rows = max_chunk_rows

    def plan(self, job: Job, work: BatchWork, manifest: Manifest, estimator: Any, report: Report) -> Plan:
        """Writes the batch's plan. Raises InvalidInputError for a file that cannot be split or lacks a column."""
        began = time.perf_counter()
        queue_ms = job.queued_ms(self._clock())
        resumed = self._resumed_plan(job, work)
        if resumed is None:
            ranges, ignored = self._split(work, manifest, estimator, report)
        else:
            ranges, ignored = resumed.ranges, resumed.ignored_columns
        n_rows = sum(file_range.n_rows for file_range in ranges)
        plan_ms = round((time.perf_counter() - began) * 1000, 3)
        plan = Plan(job.attempt, n_rows, ranges, self._clock(), plan_ms, queue_ms, ignored)
        return self._folders.save_plan(job.id, plan)

    def _resumed_plan(self, job: Job, work: BatchWork) -> Plan | None:
        """The plan of the batch that this one resumes. Takes over the parts of the chunks that were done."""
        earlier = None if work.resumes is None else self._folders.plan(work.resumes)
        if earlier is None or work.resumes is None:
            return None
        for index, (rows, bad_rows) in self._progress.done(work.resumes, earlier.number).items():
            if self._folders.link_part(job.id, job.attempt, work.resumes, earlier.number, index):
                self._progress.record_done(job.id, job.attempt, index, rows, bad_rows)
        return earlier

    def _ignored_columns(self, work: BatchWork, manifest: Manifest) -> IgnoredColumns | None:
        """Of a Parquet file. Raises InvalidInputError for columns that the request refuses."""
        if work.file_format is not FileFormat.PARQUET:
            return None
        ids = [] if work.id_column is None else [work.id_column]
        return ignored_in_parquet(self._files.path(work.file_id), manifest.signature, work.extra_columns, ids)

    def _split(
        self, work: BatchWork, manifest: Manifest, estimator: Any, report: Report
    ) -> tuple[tuple[FileRange, ...], IgnoredColumns | None]:
        path = self._files.path(work.file_id)
        reporter = _SplitReporter(report, path, work.file_format)
        require_accepted_file(path, work.file_sha256, reporter.report)
        require = require_keys if manifest.signature.layout is Layout.OBJECT else require_columns
        require(path, work.file_format, manifest.signature, work.id_column)
        ignored = self._ignored_columns(work, manifest)
        max_rows = self._rows_per_chunk(path, work, manifest, estimator)
        ranges = []
        for file_range in split_file(path, work.file_format, max_rows, MAX_CHUNK_BYTES):
            ranges.append(file_range)
            reporter.done = file_range.end
            reporter.rows += file_range.n_rows
            reporter.report()
        return tuple(ranges), ignored

    def _rows_per_chunk(self, path: Path, work: BatchWork, manifest: Manifest, estimator: Any) -> int:
        """Measures the model on the first rows. If it raises an error on them, chunks have a fixed size."""
        first = next(split_file(path, work.file_format, 8_192, MAX_CHUNK_BYTES))
        read = read_range(path, work.file_format, manifest.signature, first, work.id_column)
        rows_per_chunk = 4_096
        # An estimator raises what it likes; the chunks will find out on which rows.
        with suppress(Exception):
            call = getattr(estimator, work.method.value)
            rows_per_chunk = _rows_in_time(call, read.frame, len(read.row_numbers))
            rows_per_chunk = min(rows_per_chunk, rows_within_bounds(call(read.frame[:1])) or rows_per_chunk)
        return min(rows_per_chunk, self._max_chunk_rows)


class _SplitReporter:
    """Reports the part of the file that was split, about once a second, which also stops a run that was asked to stop.

    The number of rows is unknown until then, so bytes are counted; of Parquet, whose footer has the number, rows.
    """

    def __init__(self, report: Report, path: Path, file_format: FileFormat) -> None:
        self.done = self.rows = 0
        self._report = report
        self._path = path
        self._is_parquet = file_format is FileFormat.PARQUET
        self._total = 0
        self._reported_at = float("-inf")

    def report(self) -> None:
        if time.monotonic() - self._reported_at > 1.0:
            self._total = self._total or self._count()
            unit = "rows" if self._is_parquet else "bytes"
            self._report(Progress(min(self.done, self._total), self._total, unit, "cut", self.rows))
            self._reported_at = time.monotonic()

    def _count(self) -> int:
        if not self._is_parquet:
            return self._path.stat().st_size
        with suppress(InvalidInputError), open_parquet(self._path) as parquet:
            return sum(n_rows for n_rows, _ in row_groups(parquet))
        return 0


def _rows_in_time(call: Callable[[Any], Any], frame: Any, rows: int) -> int:
    """How many rows the call predicts in `CHUNK_S`.

    Tries one row and then more, because slow models need that long for a few rows. The fixed cost of a call is part of
    each measurement.
    """
    call(frame[:1])  # the first call of a process is slower
    timed, took_s = 1, _shortest_s(call, frame[:1])
    while timed < rows and (took_s < CHUNK_S / 2 or timed < MIN_ROWS):
        fewer_s = took_s
        timed = min(max(4 * timed, int(CHUNK_S * timed / took_s)), rows)
        took_s = _shortest_s(call, frame[:timed])
        if took_s > max(CHUNK_S / 2, 2 * fewer_s):  # the time grows with the rows
            return max(int(CHUNK_S * timed / took_s), 1)
    return max(int(CHUNK_S * timed / took_s), MIN_ROWS)


def _shortest_s(call: Callable[[Any], Any], frame: Any) -> float:
    """The shortest of up to three calls, because other work of the machine only makes a call longer."""
    times: list[float] = []
    while len(times) < 3 and sum(times) <= CHUNK_S:
        began = time.perf_counter()
        call(frame)
        times.append(time.perf_counter() - began)
    return max(min(times), 1e-6)
