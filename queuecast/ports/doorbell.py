"""The message that wakes a worker."""

from typing import Protocol


class Doorbell(Protocol):
    """Wakes a worker. The message carries a lane's name, never a job.

    It is a hint: what waits in a lane is in its record, and the reaper rings for a lane that waits in silence.
    """

    def ring(self, lane: str, *, is_urgent: bool = False) -> bool:
        """Whether the message was handed over; one that was not is logged, and nobody needs to see to it.

        is_urgent: it goes before all that waits, whatever the lane's priority, and beside the lane's other bell.
        """
