"""The list of running workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ProcessModels:
    """The models that a process of a worker has loaded."""

    versions: dict[str, list[int]] = field(default_factory=dict)
    """Model -> the versions that are loaded."""
    generations: dict[str, int] = field(default_factory=dict)
    """Model -> the generation of its aliases whose champion the process has loaded, or tried to load."""
    loading: str = ""
    """The model whose champion the process loads now."""


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


class LoadedModels(Protocol):
    """The models that the processes of all workers have loaded, as they report them themselves."""

    def report_models(self, process: str, models: ProcessModels) -> None: ...

    def forget_process(self, process: str) -> None: ...

    def loaded_models(self) -> dict[str, ProcessModels]:
        """The last report of each process. A dead process drops off after a while."""
