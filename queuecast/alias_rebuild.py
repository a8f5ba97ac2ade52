"""Aliases from the audit files back into Redis, and what file and Redis say of one another."""

from dataclasses import dataclass

from queuecast.domain.errors import ConflictError, ForkedTrailError, UnknownModelError, UnknownVersionError
from queuecast.domain.model import Aliases, AliasMove, aliases_after, moves_beyond, moves_in_common
from queuecast.ports.aliases import AliasStore
from queuecast.ports.audit import AuditTrails, UnexportedMoves
from queuecast.ports.models import ModelRegistry


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """restored: how many moves Redis has now and had not. dropped: those that Redis had and the file has not."""

    aliases: Aliases
    restored: int
    dropped: list[AliasMove]


def rebuild(model: str, trails: AuditTrails, aliases: AliasStore, models: ModelRegistry, *, force: bool) -> Rebuilt:
    """Makes Redis say what the audit file says; safe to call twice.

    Raises UnknownModelError without a trail, DamagedFileError, UnknownVersionError when an alias would point at
    nothing, and ConflictError when Redis has moves that the file has not, unless `force` gives them up.
    """
    _require_trail(model, trails)
    with trails.locked(model) as trail:  # no export meanwhile
        rebuilt = aliases_after(trail.moves)
        _require_versions(model, rebuilt, models)
        present, stored = aliases.read(model), aliases.history(model)
        same = moves_in_common(trail.moves, stored)
        dropped = stored[same:]
        if dropped and not force:
            first = f"{dropped[0].alias} to version {dropped[0].version}"
            raise ConflictError(
                f"Redis is at generation {present.generation}, the audit file at {rebuilt.generation}; "
                f"Redis alone has {counted(len(dropped), 'move')}, the first {first}; "
                "--force gives up what Redis alone has"
            )
        if present != rebuilt or stored != trail.moves:
            aliases.rebuild(model, trail.moves, present.generation)
        return Rebuilt(rebuilt, len(trail.moves) - same, dropped)


def agreement(model: str, trails: AuditTrails, aliases: UnexportedMoves) -> str:
    """What Redis says to a model's audit file, in words. Raises ForkedTrailError when one has lost moves.

    Only this finds last lines that were cut off: Redis knows more, and the model is not on the list to be exported.
    """
    _require_trail(model, trails)
    with trails.locked(model) as trail:  # an export in between would look like a loss
        stored = aliases.history(model)
        is_listed = model in aliases.unexported()
        filed = len(trail.moves)
    new = moves_beyond(trail.moves, stored)
    if new and not is_listed:
        raise ForkedTrailError(f"Redis has {counted(len(new), 'move')} more: the audit file has lost its end")
    return f"Redis has {len(new)} more, which the reaper appends" if new else f"Redis has the same {filed}"


def counted(count: int, noun: str) -> str:
    """As people write it: 1 move, 2 moves."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _require_trail(model: str, trails: AuditTrails) -> None:
    if model not in trails.models():
        raise UnknownModelError(f"there is no audit trail of {model} in the file store")


def _require_versions(model: str, aliases: Aliases, models: ModelRegistry) -> None:
    there = models.versions(model)
    for alias, version in aliases.versions.items():
        if version not in there:
            raise UnknownVersionError(
                f"{alias} would be version {version}, which is not in the file store; bring its folder back first"
            )
