"""Batches as folders: `{root}/{job id}/` with `plan.json`, `parts/`, then `result-{attempt}.{ext}` and `outcome.json`.

Plan and outcome are written once: of two runs that write one, the first wins and the other goes on with that one. A
part is named by its plan and index and has the same bytes whoever writes it.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from queuecast.domain.batch import OutputFormat
from queuecast.domain.chunking import BatchOutcome, Plan

ID_RULE = re.compile(r"job_[0-9a-f-]{36}")
T = TypeVar("T", Plan, BatchOutcome)


class BatchFolders:
    def __init__(self, root: Path) -> None:
        self._root = root

    def plan(self, batch_id: str) -> Plan | None:
        return _read(self._folder(batch_id) / "plan.json", Plan)

    def save_plan(self, batch_id: str, plan: Plan) -> Plan:
        return self._kept(batch_id, "plan.json", plan)

    def outcome(self, batch_id: str) -> BatchOutcome | None:
        return _read(self._folder(batch_id) / "outcome.json", BatchOutcome)

    def save_outcome(self, batch_id: str, outcome: BatchOutcome) -> BatchOutcome:
        return self._kept(batch_id, "outcome.json", outcome)

    def part(self, batch_id: str, plan: int, index: int) -> Path:
        return self._folder(batch_id) / "parts" / f"{plan}-{index}"

    def bad_rows(self, batch_id: str, plan: int, index: int) -> Path:
        return self._folder(batch_id) / "parts" / f"{plan}-{index}.bad"

    def result(self, batch_id: str, attempt: int, output_format: OutputFormat) -> Path:
        return self._folder(batch_id) / f"result-{attempt}.{output_format}"

    def errors(self, batch_id: str, attempt: int) -> Path:
        return self._folder(batch_id) / f"errors-{attempt}.ndjson"

    def link_part(self, batch_id: str, plan: int, source_id: str, source_plan: int, index: int) -> bool:
        """Takes over a part of another batch, if it is there. Safe to call again."""
        mine = self.part(batch_id, plan, index), self.bad_rows(batch_id, plan, index)
        theirs = self.part(source_id, source_plan, index), self.bad_rows(source_id, source_plan, index)
        mine[0].parent.mkdir(parents=True, exist_ok=True)
        # Bad rows first: where the part is, its bad rows are.
        for own, source in ((mine[1], theirs[1]), (mine[0], theirs[0])):
            with suppress(FileExistsError, FileNotFoundError):
                os.link(source, own)  # parts are never written again, so both batches may have the one file
        return mine[0].exists()

    def delete_parts(self, batch_id: str) -> None:
        shutil.rmtree(self._folder(batch_id) / "parts", ignore_errors=True)

    def sweep(self, is_past: Callable[..., bool], before: float) -> list[str]:
        """Removes the folders that `is_past(id, is_old=...)` says may go; old: nobody wrote to it since `before`.

        Returns whose they were.
        """
        past = []
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if not ID_RULE.fullmatch(folder.name):
                continue
            with suppress(FileNotFoundError):
                if is_past(folder.name, is_old=folder.stat().st_mtime < before):
                    shutil.rmtree(folder, ignore_errors=True)
                    past.append(folder.name)
        return past

    def _kept(self, batch_id: str, name: str, content: T) -> T:
        folder = self._folder(batch_id)
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(prefix=".", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(content))
                file.flush()
                os.fsync(file.fileno())
            Path(beside).chmod(0o644)
            with suppress(FileExistsError):  # somebody else's is there; a link does not replace it
                os.link(beside, folder / name)
        finally:
            Path(beside).unlink()
        return _read(folder / name, type(content)) or content

    def _folder(self, batch_id: str) -> Path:
        if not ID_RULE.fullmatch(batch_id):
            raise ValueError(f"{batch_id[:80]!r} is no job's id")
        return self._root / batch_id


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
