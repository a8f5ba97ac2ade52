"""Outcomes in memory, for tests."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from queuecast.domain.errors import ConflictError, UnknownJobError
from queuecast.domain.live.live_rows import WINDOW_ROWS, LiveRow, LiveWindow
from queuecast.ports.jobs import JobStore


class MemoryLiveOutcomes:
    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._answers: dict[str, dict[int, bytes]] = defaultdict(dict)
        self._fingerprints: dict[str, str] = {}
        self._windows: dict[str, dict[int, LiveWindow]] = defaultdict(dict)

    def keep_answers(self, version: int, answers: Mapping[str, bytes]) -> None:
        for job_id, answer in answers.items():
            if self._jobs.read_many_with_results([job_id]) != [None]:
                self._answers[job_id][version] = answer

    def kept_answers(self, job_id: str) -> dict[int, bytes]:
        return dict(self._answers[job_id])

    def add(self, job_id: str, fingerprint: str, model: str, rows: Mapping[int, Sequence[LiveRow]], now: float) -> bool:
        if self._jobs.read_many_with_results([job_id]) == [None]:
            raise UnknownJobError(f"no job {job_id[:80]!r}")
        if job_id in self._fingerprints:
            if self._fingerprints[job_id] != fingerprint:
                raise ConflictError(f"job {job_id} has other outcomes already")
            return False
        self._fingerprints[job_id] = fingerprint
        for version, of_version in rows.items():
            before = self._windows[model].get(version, LiveWindow((), 0, now))
            newest = (*reversed(of_version), *before.rows)[:WINDOW_ROWS]
            self._windows[model][version] = LiveWindow(newest, before.total + len(of_version), now)
        return True

    def windows(self, model: str, most: int) -> dict[int, LiveWindow]:
        found = sorted(self._windows[model].items(), key=lambda each: -each[1].last_at)
        return dict(found[:most])
