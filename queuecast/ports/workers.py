"""The list of running workers."""

from collections.abc import Sequence
from typing import Protocol


class WorkerList(Protocol):
    """Which workers there are, by their own word."""

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        """The worker is there now and takes from these queues."""

    def forget(self, name: str) -> None:
        """A worker that stops says so; one that dies is left out after a while."""

    def queue_lengths(self, queues: Sequence[str]) -> list[int]:
        """How many messages wait in each of these lists."""

    def count_by_queue(self) -> dict[str, int]:
        """Workers heard of lately."""
