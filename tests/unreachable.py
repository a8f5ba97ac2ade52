"""Ports whose backend does not answer."""

from typing import Any

from queuecast.adapters.memory.aliases import MemoryAliases
from queuecast.adapters.memory.jobs import MemoryJobs
from queuecast.adapters.memory.lanes import MemoryLanes
from queuecast.domain.errors import UnavailableError


def raise_unavailable(*_: Any, **__: Any) -> Any:
    raise UnavailableError("Redis does not answer")


class UnreachableDoorbell:
    """A doorbell that never rings."""

    def ring(self, lane: str, *, is_overtaking: bool = False) -> bool:
        return False


class UnreachableJobs(MemoryJobs):
    create = find_repeated = read = read_with_result = read_work = page = replace = raise_unavailable
    delete = dead_letters = read_many_with_results = count_dead_letters = memory = ping = raise_unavailable


class UnreachableLanes(MemoryLanes):
    stats = raise_unavailable


class UnreachableAliases(MemoryAliases):
    read = move = history = raise_unavailable
