"""How far the processes of workers have followed the last promotion of a model. Names no framework."""

from collections.abc import Iterable
from dataclasses import dataclass

from queuecast.domain.model import CHAMPION, Aliases
from queuecast.ports.workers import ProcessModels


@dataclass(frozen=True, slots=True)
class Convergence:
    """total: the processes that have a version of the model loaded. on_champion: how many have its champion loaded.

    generation: the one that each of them has followed; None if there are none.
    """

    total: int
    on_champion: int
    generation: int | None


def convergence(model: str, aliases: Aliases, processes: Iterable[ProcessModels]) -> Convergence:
    serving = [each for each in processes if model in each.versions]
    champion = aliases.versions.get(CHAMPION)
    return Convergence(
        total=len(serving),
        on_champion=sum(champion in each.versions[model] for each in serving),
        generation=min((each.generations.get(model, 0) for each in serving), default=None),
    )
