"""A monitor for tests that records the revisions."""

from collections.abc import Sequence

from queuecast.domain.job import Job


class MemoryMonitor:
    def __init__(self) -> None:
        self.shown: list[Job] = []

    def show(self, written: Sequence[Job]) -> None:
        self.shown += written
