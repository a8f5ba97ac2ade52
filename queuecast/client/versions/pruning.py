"""Which versions of a model may be deleted, and why the rest is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queuecast.domain.model import AliasMove, previous_champion


@dataclass(frozen=True, slots=True)
class Pruning:
    """doomed: the versions to delete, the oldest first. kept: an older version that stays -> why."""

    doomed: list[int]
    kept: dict[int, str]


def plan_pruning(
    versions: Sequence[int], aliases: dict[str, int], history: Sequence[dict[str, Any]], keep: int
) -> Pruning:
    """keep: how many of the newest versions stay in any case. history: of the aliases, oldest first.

    A version with an alias stays, and so does the one to which a rollback returns.
    """
    older = sorted(versions)[: max(len(versions) - keep, 0)]
    kept: dict[int, str] = {}
    rollback = previous_champion([_move(entry) for entry in history])
    for version in older:
        names = sorted(alias for alias, named in aliases.items() if named == version)
        if names:
            kept[version] = f"it is {' and '.join(names)}"
        elif version == rollback:
            kept[version] = "a rollback returns to it"
    return Pruning([version for version in older if version not in kept], kept)


def _move(entry: dict[str, Any]) -> AliasMove:
    """The parts of a move that a rollback depends on."""
    return AliasMove(
        entry["generation"], entry["alias"] or "", entry["version"], entry["previous"], 0.0, entry["action"]
    )
