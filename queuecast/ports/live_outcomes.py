"""The true outcomes of jobs, and the answers of shadows that they are compared with."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from queuecast.domain.live.live_rows import LiveRow, LiveWindow


class LiveOutcomeStore(Protocol):
    """Answers and the mark of a job's outcomes live and die with the record of the job."""

    def keep_answers(self, version: int, answers: Mapping[str, bytes]) -> None:
        """answers: by job, the result of the job of a shadow that answered it again. Skips jobs without a record."""

    def kept_answers(self, job_id: str) -> dict[int, bytes]:
        """By version."""

    def add(self, job_id: str, fingerprint: str, model: str, rows: Mapping[int, Sequence[LiveRow]], now: float) -> bool:
        """Adds rows to the windows of versions; False if the same outcomes were added before.

        Raises ConflictError if the job has other outcomes, and UnknownJobError if its record is gone.
        """

    def windows(self, model: str, most: int) -> dict[int, LiveWindow]:
        """By version: of those with the newest outcomes, at most so many, the newest first."""
