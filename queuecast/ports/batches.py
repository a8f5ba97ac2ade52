"""The progress of a batch's chunks, and the files of a batch."""

from pathlib import Path
from typing import Protocol

from queuecast.domain.batch import OutputFormat
from queuecast.domain.chunking import BatchOutcome, ChunkTotals, Plan
from queuecast.domain.job import Job
from queuecast.domain.work import ChunkWork


class ChunkProgressStore(Protocol):
    """Which chunks of a batch are done, and the chunks themselves, which are jobs that no listing has.

    A board is that of one plan of a batch. Every call raises UnavailableError when the store is away.
    """

    def open(self, batch_id: str, plan: int) -> None:
        """Puts the batch on the list of those whose chunks are looked after."""

    def live(self) -> dict[str, int]:
        """The batches on that list, each with the number of its plan."""

    def close(self, batch_id: str, plan: int, delete_at: float) -> None:
        """Takes an ended batch off the list; its board is kept until then, for a retry that goes on from it."""

    def record_done(self, batch_id: str, plan: int, index: int, rows: int, bad: int) -> ChunkTotals:
        """Notes a chunk as done, once: what a second mark says is not counted. Returns the sums after it."""

    def undo_done(self, batch_id: str, plan: int, index: int) -> None:
        """Takes back a mark whose part is not there."""

    def is_done(self, batch_id: str, plan: int, index: int) -> bool: ...

    def done(self, batch_id: str, plan: int) -> dict[int, tuple[int, int]]:
        """The index of each chunk that is done, with its rows and how many of them were bad."""

    def totals(self, batch_id: str, plan: int) -> ChunkTotals: ...

    def add(self, chunks: list[tuple[Job, ChunkWork]]) -> bool:
        """Puts chunks of one batch into its lane, those left out that wait or run already. True: ring for the lane."""

    def chunks(self, ids: list[str]) -> dict[str, Job]:
        """Those of the chunks that there is a record of."""


class BatchFiles(Protocol):
    """What batches leave on disk: plans, parts, results."""

    def plan(self, batch_id: str) -> Plan | None: ...

    def save_plan(self, batch_id: str, plan: Plan) -> Plan:
        """Writes the plan, unless there is one; returns the one that holds."""

    def outcome(self, batch_id: str) -> BatchOutcome | None: ...

    def save_outcome(self, batch_id: str, outcome: BatchOutcome) -> BatchOutcome:
        """Writes the outcome, unless there is one; returns the one that holds."""

    def part(self, batch_id: str, plan: int, index: int) -> Path: ...

    def bad_rows(self, batch_id: str, plan: int, index: int) -> Path: ...

    def result(self, batch_id: str, attempt: int, output_format: OutputFormat) -> Path: ...

    def errors(self, batch_id: str, attempt: int) -> Path: ...

    def link_part(self, batch_id: str, plan: int, source_id: str, source_plan: int, index: int) -> bool:
        """Takes over a part of another batch; False when it is not there. Safe to call again."""

    def delete_parts(self, batch_id: str) -> None: ...
