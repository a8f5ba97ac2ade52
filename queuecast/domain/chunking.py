"""The plan, the progress and the outcome of a batch, as workers, reaper and stores share them."""

from dataclasses import dataclass

WINDOW = 1_000  # chunks of one batch that wait or run: that of a slow model has more than Redis should hold


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
    """Where a batch's file is cut; written once and never changed.

    number: the attempt that made it. The names of all files of the chunks contain it, so
    files of a lost plan are not mistaken for those of this one.
    """

    number: int
    n_rows: int
    cuts: tuple[FileRange, ...]
    planned_at: float
    plan_ms: float
    queue_ms: float


@dataclass(frozen=True, slots=True)
class ChunkTotals:
    """The progress of all chunks of a batch. `rows` includes the `bad` rows."""

    chunks: int
    rows: int
    bad: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """The result of a join, kept next to its file, so that a second join has nothing to do.

    attempt: the run of the batch that wrote it; its files are named by that.
    """

    attempt: int
    rows: int
    errors: int
    format: str
    size_bytes: int
    sha256: str
    join_ms: float


def chunk_id(batch_id: str, plan: int, index: int) -> str:
    """The same each time, so that a chunk that is made again is the same job."""
    return f"chunk_{batch_id.removeprefix('job_')}_{plan}_{index}"
