"""Plans a batch: checks that the file is the accepted one, and cuts it into chunks of about 0.3 s of model time."""

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from queuecast.domain.chunking import FileRange, Plan
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.job import Job, Progress
from queuecast.domain.model import Manifest
from queuecast.domain.work import BatchWork
from queuecast.ports.batches import BatchFiles, ChunkProgressStore
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from worker.engine.contracts import Report
from worker.tables.file_columns import require_columns
from worker.tables.reader import read_range
from worker.tables.splitting import split_file

CHUNK_S = 0.3  # much longer than a claim costs, much shorter than a prediction may wait
MIN_ROWS = 256  # below that a call of a pipeline costs as much for fewer rows
UNTIMED_ROWS = 4_096
SAMPLE_ROWS = 8_192
TIMINGS = 3
MAX_CHUNK_BYTES = 8 * 2**20
PIECE_BYTES = 4 * 2**20
REPORT_EVERY_S = 1.0


class BatchPlanner:
    def __init__(
        self, files: FileStore, boards: ChunkProgressStore, folders: BatchFiles, clock: Clock, max_chunk_rows: int
    ) -> None:
        self._files = files
        self._boards = boards
        self._folders = folders
        self._clock = clock
        self._max_chunk_rows = max_chunk_rows

    def plan(self, job: Job, work: BatchWork, manifest: Manifest, estimator: Any, report: Report) -> Plan:
        """Makes the batch's plan. Raises InvalidInputError for a file that cannot be cut or lacks a column."""
        began = time.perf_counter()
        queue_ms = job.queued_ms(self._clock())
        resumed = self._resumed(job, work)
        if resumed is not None:
            n_rows, found = resumed.n_rows, resumed.cuts
        else:
            look = _Look(report)
            path = self._files.path(work.file_id)
            _require_frozen(path, work.file_sha256, look)
            require_columns(path, work.file_format, manifest.signature, work.id_column)
            max_rows = self._rows_a_chunk(path, work, manifest, estimator)
            found = _all_cuts(path, work, max_rows, look)
            n_rows = sum(cut.n_rows for cut in found)
        plan_ms = round((time.perf_counter() - began) * 1000, 3)
        return self._folders.save_plan(job.id, Plan(job.attempt, n_rows, found, self._clock(), plan_ms, queue_ms))

    def _resumed(self, job: Job, work: BatchWork) -> Plan | None:
        """The plan of the batch that this one goes on from, with its finished parts as this one's."""
        before = None if work.resumes is None else self._folders.plan(work.resumes)
        if before is None or work.resumes is None:
            return None
        for index, (rows, bad) in self._boards.done(work.resumes, before.number).items():
            if self._folders.link_part(job.id, job.attempt, work.resumes, before.number, index):
                self._boards.record_done(job.id, job.attempt, index, rows, bad)
        return before

    def _rows_a_chunk(self, path: Path, work: BatchWork, manifest: Manifest, estimator: Any) -> int:
        """Measures the model on the first rows. If it raises an error on them, chunks have a fixed size."""
        first = next(split_file(path, work.file_format, SAMPLE_ROWS, MAX_CHUNK_BYTES))
        part = read_range(path, work.file_format, manifest.signature, first, work.id_column)
        rows_a_chunk = UNTIMED_ROWS
        # An estimator raises what it likes; the chunks will find out on which rows.
        with suppress(Exception):
            rows_a_chunk = _rows_in_time(getattr(estimator, work.method.value), part.frame, len(part.row_numbers))
        return min(rows_a_chunk, self._max_chunk_rows)


def _rows_in_time(call: Callable[[Any], Any], frame: Any, rows: int) -> int:
    """How many rows the call answers in `CHUNK_S`. Tries one row and then more, because slow models need that long
    for a few rows. The fixed cost of a call is part of each measurement."""
    call(frame[:1])  # the first call of a process is slower
    timed, took_s = 1, _shortest_s(call, frame[:1])
    while timed < rows and (took_s < CHUNK_S / 2 or timed < MIN_ROWS):
        fewer_s = took_s
        timed = min(max(4 * timed, int(CHUNK_S * timed / took_s)), rows)
        took_s = _shortest_s(call, frame[:timed])
        if took_s > max(CHUNK_S / 2, 2 * fewer_s):  # the time goes with the rows
            return max(int(CHUNK_S * timed / took_s), 1)
    return max(int(CHUNK_S * timed / took_s), MIN_ROWS)


def _shortest_s(call: Callable[[Any], Any], frame: Any) -> float:
    """The shortest of several calls, because other work of the machine only makes a call longer."""
    times = []
    for _ in range(TIMINGS):
        began = time.perf_counter()
        call(frame)
        times.append(time.perf_counter() - began)
        if sum(times) > CHUNK_S:
            break
    return max(min(times), 1e-6)


class _Look:
    """Reports progress about once a second, and stops a run that was asked to stop."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._at = float("-inf")

    def __call__(self, rows: int = 0) -> None:
        if time.monotonic() - self._at > REPORT_EVERY_S:
            self._report(Progress(0, 0, "rows", "cut", rows))
            self._at = time.monotonic()


def _require_frozen(path: Path, sha256: str, look: Callable[[], None]) -> None:
    """Raises InvalidInputError unless the bytes are those that the job was accepted for."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            found.update(piece)
            look()
    if found.hexdigest() != sha256:
        detail = f"the file has sha256 {found.hexdigest()} now, the job was accepted for {sha256}"
        raise InvalidInputError(detail, code="file_changed")


def _all_cuts(path: Path, work: BatchWork, max_rows: int, look: Callable[[int], None]) -> tuple[FileRange, ...]:
    found, rows = [], 0
    for cut in split_file(path, work.file_format, max_rows, MAX_CHUNK_BYTES):
        found.append(cut)
        rows += cut.n_rows
        look(rows)
    return tuple(found)
