"""Records keep the field names that earlier versions stored."""

import json
from pathlib import Path

from queuecast.adapters.disk.batches import BatchFolders
from queuecast.adapters.job_codec import decode_work, encode
from queuecast.domain.chunking import BatchOutcome, FileRange, Plan
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.job import JobType
from queuecast.domain.work import ChunkWork
from tests.queuecast.domain.records import A_BATCH

BATCH = "job_01939b2c-9a4f-7c3e-8d55-2f1f7d7a0b11"
RANGES = (FileRange(0, 1, 100, 6, 900), FileRange(1, 101, 50, 900, 1_400))


def test_a_plan_is_stored_with_its_ranges_as_cuts(tmp_path: Path) -> None:
    plan = Plan(1, 150, RANGES, 1.5, 2.0, 3.0)
    folders = BatchFolders(tmp_path)

    saved = folders.save_plan(BATCH, plan)

    stored = json.loads((tmp_path / BATCH / "plan.json").read_bytes())
    assert list(stored) == ["number", "n_rows", "cuts", "planned_at", "plan_ms", "queue_ms"]
    assert stored["cuts"][1] == {"index": 1, "first_row": 101, "n_rows": 50, "start": 900, "end": 1400}
    assert saved == plan == folders.plan(BATCH)


def test_a_plan_keeps_its_ignored_columns(tmp_path: Path) -> None:
    plan = Plan(1, 150, RANGES, 1.5, 2.0, 3.0, IgnoredColumns(("note",), 1))
    folders = BatchFolders(tmp_path)

    folders.save_plan(BATCH, plan)

    assert folders.plan(BATCH) == plan


def test_an_outcome_is_stored_with_its_bad_rows_as_errors(tmp_path: Path) -> None:
    outcome = BatchOutcome(2, 150, 3, "csv", 4_096, "ab" * 32, 1.25)
    folders = BatchFolders(tmp_path)

    saved = folders.save_outcome(BATCH, outcome)

    stored = json.loads((tmp_path / BATCH / "outcome.json").read_bytes())
    assert list(stored) == ["attempt", "rows", "errors", "format", "size_bytes", "sha256", "join_ms"]
    assert stored["errors"] == 3
    assert saved == outcome == folders.outcome(BATCH)


def test_the_work_of_a_chunk_is_stored_with_its_range_as_cut() -> None:
    work = ChunkWork(A_BATCH, 1, RANGES[1])

    stored = json.loads(encode(work))

    assert list(stored) == ["batch", "plan", "cut"]
    assert stored["cut"]["first_row"] == 101
    assert decode_work(JobType.CHUNK, encode(work)) == work
