"""Aliases and their history in memory, for tests."""

import threading
from contextlib import nullcontext

from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.domain.deletion import needed_by_jobs
from queuecast.domain.errors import JobStoppedError, UnknownJobError
from queuecast.domain.job import Job, State
from queuecast.domain.model import MODEL_DELETION, Aliases, AliasMove, aliases_after, moved_in_between


class MemoryAliases:
    """jobs: says whether a run still owns its job. Without it every run does."""

    def __init__(self, jobs: MemoryJobs | None = None) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()
        self._aliases: dict[str, Aliases] = {}
        self._history: dict[str, list[AliasMove]] = {}
        self._unexported: set[str] = set()
        self._moves: list[str] = []
        self._claimed: set[tuple[str, int]] = set()
        if jobs is not None:
            self.share_with(jobs)

    def share_with(self, jobs: MemoryJobs) -> None:
        """The store checks aliases and deleted versions when it accepts a job, and a deletion checks its jobs."""
        self._jobs = jobs
        jobs.alias_of = lambda model, alias: self.read(model).versions.get(alias)
        jobs.deleted_of = lambda model: self.read(model).deleted

    def read(self, model: str) -> Aliases:
        return self._aliases.get(model, Aliases())

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        with self._lock:
            if run is not None and not self._owns(run):
                raise JobStoppedError(f"job {run.id} was asked to stop, or another worker runs it now")
            self._append(model, move)

    def delete(self, model: str, deletion: AliasMove, made_by: str = "") -> None:
        with nullcontext() if self._jobs is None else self._jobs.lock, self._lock:
            self._require_generation(model, deletion.generation - 1)

            def needs(job: Job) -> bool:
                is_deleted = job.model.version is not None and deletion.deletes(job.model.version)
                is_whole = deletion.action == MODEL_DELETION
                return job.id == made_by or (job.model.name == model and (is_whole or is_deleted))

            found = [] if self._jobs is None else self._jobs.unfinished(needs)
            if found:
                raise needed_by_jobs(model, deletion, len(found), found[:5])
            self._append(model, deletion)

    def _append(self, model: str, move: AliasMove) -> None:
        self._require_generation(model, move.generation - 1)
        self._history.setdefault(model, []).append(move)
        self._aliases[model] = aliases_after(self._history[model])
        self._unexported.add(model)
        self._moves.append(model)

    def _require_generation(self, model: str, expected: int) -> None:
        present = self.read(model).generation
        if present != expected:
            raise moved_in_between(model, present, expected)

    def _owns(self, run: Job) -> bool:
        try:
            present = run if self._jobs is None else self._jobs.read(run.id)
        except UnknownJobError:
            return False
        return present.state is State.RUNNING and present.attempt == run.attempt

    def history(self, model: str) -> list[AliasMove]:
        return list(self._history.get(model, []))

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        with self._lock:
            self._require_generation(model, expected)
            self._aliases[model] = aliases_after(moves)
            self._history[model] = list(moves)
            self._moves.append(model)

    def wait_for_moves(self, since: str, timeout_s: float) -> tuple[list[str], str]:
        """Does not wait."""
        with self._lock:
            moved = self._moves[int(since) :] if since else []
            return list(dict.fromkeys(moved)), str(len(self._moves))

    def claim_check(self, model: str, generation: int) -> bool:
        with self._lock:
            is_first = (model, generation) not in self._claimed
            self._claimed.add((model, generation))
            return is_first

    def unexported(self) -> list[str]:
        with self._lock:
            return sorted(self._unexported)

    def mark_exported(self, model: str, count: int) -> bool:
        with self._lock:
            if len(self._history.get(model, [])) != count:
                return False
            self._unexported.discard(model)
            return True
