"""Which process of a worker may run trainings and evaluations: one at a time, as each holds a whole file in memory.

The other processes of the trainer go on with imports. A process that finds the turn taken drops its bell: the jobs keep
waiting, and the reaper rings for them again.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile


class TrainingTurn:
    """Made before the fork and shared by the child processes. A process that dies loses its turn."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115 - open as long as the worker runs

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Whether this process has the turn while the block runs."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the process, not of the file that a fork shares
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
