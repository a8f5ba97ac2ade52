"""The message that wakes a worker."""

from typing import Protocol


class Doorbell(Protocol):
    """Wakes a worker. The message carries a lane's name, never a job.

    The message is only a hint: the lane itself holds the waiting jobs, and the reaper rings again for a lane whose
    message was lost.
    """

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        """True when the message was sent. A failure is logged, and the caller need not handle it.

        is_overtaking: the message overtakes all others, whatever the priority of the lane.
        """
