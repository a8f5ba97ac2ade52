"""The tool in which an operator watches jobs."""

from collections.abc import Sequence
from typing import Protocol

from queuecast.domain.job import Job


class JobMonitor(Protocol):
    """Shows jobs to an operator. Best effort: a call neither waits for the network nor raises."""

    def show(self, written: Sequence[Job]) -> None:
        """Takes revisions that the job store has just written. The monitor picks the ones worth showing."""
