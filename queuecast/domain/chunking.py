"""The plan, the progress and the outcome of a batch, as workers, reaper and stores share them."""

from dataclasses import dataclass

from queuecast.domain.columns.extra_columns import IgnoredColumns

MAX_OPEN_CHUNKS = 1_000  # of one batch, waiting or running; a slow model has more than Redis should hold


@dataclass(frozen=True, slots=True)
class FileRange:
    """One piece of a file: bytes `start` to `end` of CSV and NDJSON, rows of Parquet. Data rows count from 1."""

    index: int
    first_row: int
    n_rows: int
    start: int
    end: int

    @property
    def rows_text(self) -> str:
        return f"rows {self.first_row:,} to {self.first_row + self.n_rows - 1:,}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The ranges of a batch's file, one for each chunk. Written once and never changed.

    number: the attempt that wrote it. The file names of the chunks contain it, so the files of a lost plan are not
    confused with the files of this one.
    ignored_columns: those of a Parquet file, which only a worker reads.
    """

    number: int
    n_rows: int
    ranges: tuple[FileRange, ...]
    planned_at: float
    plan_ms: float
    queue_ms: float
    ignored_columns: IgnoredColumns | None = None


@dataclass(frozen=True, slots=True)
class ChunkTotals:
    """The progress of all chunks of a batch. `rows` includes the `bad_rows`."""

    chunks: int
    rows: int
    bad_rows: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """The result of a join, stored next to its file, so that a second join has nothing to do.

    attempt: the run that wrote it; the names of its files contain the number.
    """

    attempt: int
    rows: int
    bad_rows: int
    format: str
    size_bytes: int
    sha256: str
    join_ms: float


def chunk_id(batch_id: str, plan: int, index: int) -> str:
    """The same each time, so that a chunk that is added twice is one job."""
    return f"chunk_{batch_id.removeprefix('job_')}_{plan}_{index}"
