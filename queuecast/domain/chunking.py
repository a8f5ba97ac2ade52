"""How a batch's file is cut, and what came of the chunks: the words that workers, reaper and stores share."""

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

    number: the attempt that made it. All that chunks leave is named by it, so what is left of a lost plan is not
    mistaken for this one's.
    """

    number: int
    n_rows: int
    cuts: tuple[FileRange, ...]
    planned_at: float
    plan_ms: float
    queue_ms: float


@dataclass(frozen=True, slots=True)
class ChunkTotals:
    """What a batch's board says in sum. `bad` rows are counted in `rows` too."""

    chunks: int
    rows: int
    bad: int


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What a join wrote; kept beside the file, so that a join that is run again has nothing to do.

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
