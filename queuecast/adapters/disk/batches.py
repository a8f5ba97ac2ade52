"""Batches as folders: `{root}/{job id}/` with `plan.json`, `parts/`, then `result-{attempt}.{ext}` and `outcome.json`.

Plan and outcome are written once: when two runs write one, both continue with the first. A part is named by its plan
and index, and every run writes the same bytes to it. The folder of a training has its bad rows, `errors.ndjson`;
that of an evaluation has its `report.json` too.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from queuecast.adapters.stored_form import StoredForm
from queuecast.domain.chunking import BatchOutcome, Plan
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.id_rules import JOB_ID_RULE
from queuecast.domain.reports import REPORT_FILE

_PLAN = StoredForm(Plan, {"ranges": "cuts"})
_OUTCOME = StoredForm(BatchOutcome, {"bad_rows": "errors"})
T = TypeVar("T")


class BatchFolders:
    def __init__(self, root: Path) -> None:
        self._root = root

    def plan(self, batch_id: str) -> Plan | None:
        return _read(self._folder(batch_id) / "plan.json", _PLAN)

    def save_plan(self, batch_id: str, plan: Plan) -> Plan:
        return self._save_once(batch_id, "plan.json", plan, _PLAN)

    def outcome(self, batch_id: str) -> BatchOutcome | None:
        return _read(self._folder(batch_id) / "outcome.json", _OUTCOME)

    def save_outcome(self, batch_id: str, outcome: BatchOutcome) -> BatchOutcome:
        return self._save_once(batch_id, "outcome.json", outcome, _OUTCOME)

    def part(self, batch_id: str, plan: int, index: int) -> Path:
        return self._folder(batch_id) / "parts" / f"{plan}-{index}"

    def bad_rows_of_part(self, batch_id: str, plan: int, index: int) -> Path:
        return self._folder(batch_id) / "parts" / f"{plan}-{index}.bad"

    def result(self, batch_id: str, attempt: int, output_format: OutputFormat) -> Path:
        return self._folder(batch_id) / f"result-{attempt}.{output_format}"

    def bad_rows(self, batch_id: str, attempt: int) -> Path:
        return self._folder(batch_id) / f"errors-{attempt}.ndjson"

    def bad_rows_of_training(self, job_id: str) -> Path:
        return self._folder(job_id) / "errors.ndjson"

    def report(self, job_id: str) -> Path:
        return self._folder(job_id) / REPORT_FILE

    def link_part(self, batch_id: str, plan: int, source_id: str, source_plan: int, index: int) -> bool:
        """Reuses a part of another batch, if it exists. Safe to call again."""
        part = self.part(batch_id, plan, index)
        part.parent.mkdir(parents=True, exist_ok=True)
        links = (
            # Bad rows first: a part that exists must have its bad rows.
            (self.bad_rows_of_part(source_id, source_plan, index), self.bad_rows_of_part(batch_id, plan, index)),
            (self.part(source_id, source_plan, index), part),
        )
        for source, target in links:
            with suppress(FileExistsError, FileNotFoundError):
                os.link(source, target)  # parts never change, so both batches can share one file
        return part.exists()

    def delete_parts(self, batch_id: str) -> None:
        shutil.rmtree(self._folder(batch_id) / "parts", ignore_errors=True)

    def sweep(self, is_past: Callable[..., bool], before: float) -> list[str]:
        """Removes the folders for which `is_past(id, is_old=...)` is true. Returns the ids of their batches.

        is_old: the folder was not written to since `before`.
        """
        removed = []
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if not JOB_ID_RULE.fullmatch(folder.name):
                continue
            with suppress(FileNotFoundError):
                if is_past(folder.name, is_old=folder.stat().st_mtime < before):
                    shutil.rmtree(folder, ignore_errors=True)
                    removed.append(folder.name)
        return removed

    def _save_once(self, batch_id: str, name: str, content: T, form: StoredForm[T]) -> T:
        folder = self._folder(batch_id)
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(form.encode(content))
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(0o644)
            with suppress(FileExistsError):  # another run was first; a link does not replace its file
                os.link(draft, folder / name)
        finally:
            Path(draft).unlink()
        return _read(folder / name, form) or content

    def _folder(self, batch_id: str) -> Path:
        if not JOB_ID_RULE.fullmatch(batch_id):
            raise ValueError(f"{batch_id[:80]!r} is not the id of a job")
        return self._root / batch_id


def _read(path: Path, form: StoredForm[T]) -> T | None:
    try:
        return form.decode(path.read_bytes())
    except FileNotFoundError:
        return None
