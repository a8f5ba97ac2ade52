"""The progress of a batch's chunks, and the files of a batch."""

from pathlib import Path
from typing import Protocol

from queuecast.domain.chunking import BatchOutcome, ChunkTotals, Plan
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.job import Job
from queuecast.domain.work import ChunkWork


class ChunkProgressStore(Protocol):
    """Which chunks of a plan are done, and the chunks themselves: jobs that no listing shows.

    Progress belongs to one plan of a batch. Every call raises UnavailableError when the store is away.
    """

    def open(self, batch_id: str, plan: int) -> None:
        """Adds the batch to the live ones, which the reaper repairs."""

    def live(self) -> dict[str, int]:
        """The live batches, each with the number of its plan."""

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        """Removes an ended batch from the live ones. A retry can resume its progress until `delete_at`."""

    def record_done(self, batch_id: str, plan: int, index: int, rows: int, bad_rows: int) -> ChunkTotals:
        """Records a chunk as done and returns the new totals. Recording a chunk again changes nothing."""

    def undo_done(self, batch_id: str, plan: int, index: int) -> None:
        """Removes the record of a chunk whose part is missing."""

    def is_done(self, batch_id: str, plan: int, index: int) -> bool: ...

    def done(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        """The index of each finished chunk, with its number of rows and of bad rows."""

    def totals(self, batch_id: str, plan: int) -> ChunkTotals: ...

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        """Puts chunks of one batch into its lane, except those waiting or running. True: ring for the lane."""

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        """The records of those chunks that have one."""


class BatchFiles(Protocol):
    """The files of batches: plans, parts, results; the bad rows of trainings and evaluations; reports."""

    def plan(self, batch_id: str) -> Plan | None: ...

    def save_plan(self, batch_id: str, plan: Plan) -> Plan:
        """Writes the plan unless there is one, and returns the one that is stored."""

    def outcome(self, batch_id: str) -> BatchOutcome | None: ...

    def save_outcome(self, batch_id: str, outcome: BatchOutcome) -> BatchOutcome:
        """Writes the outcome unless there is one, and returns the one that is stored."""

    def part(self, batch_id: str, plan: int, index: int) -> Path: ...

    def bad_rows_of_part(self, batch_id: str, plan: int, index: int) -> Path: ...

    def result(self, batch_id: str, attempt: int, output_format: OutputFormat) -> Path: ...

    def bad_rows(self, batch_id: str, attempt: int) -> Path:
        """Of the whole batch, next to its result."""

    def bad_rows_of_training(self, job_id: str) -> Path:
        """The rows that a training or an evaluation leaves out. Every run of it writes the same ones."""

    def report(self, job_id: str) -> Path:
        """The facts of an evaluation's report. Its folder need not exist."""

    def link_part(self, batch_id: str, plan: int, source_id: str, source_plan: int, index: int) -> bool:
        """Reuses a part of another batch; False when that part does not exist. Safe to call again."""

    def delete_parts(self, batch_id: str) -> None: ...
