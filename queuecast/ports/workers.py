"""The list of running workers."""

from collections.abc import Sequence
from typing import Protocol


class WorkerList(Protocol):
    """The running workers, as they report themselves."""

    def report(self, name: str, queues: tuple[str, ...]) -> None:
        """The worker is running and consumes these queues."""

    def forget(self, name: str) -> None:
        """Removes a worker that stops. A dead worker drops off the list after a while."""

    def queue_lengths(self, lists: Sequence[str]) -> list[int]:
        """The number of messages in each of these Redis lists. A queue has one list for each urgency."""

    def count_by_queue(self) -> dict[str, int]:
        """The number of workers that consume each queue."""
