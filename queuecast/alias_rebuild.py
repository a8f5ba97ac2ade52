"""Rebuilds the aliases in Redis from the audit files, and compares the two."""

from dataclasses import dataclass

from queuecast.domain.errors import ConflictError, ForkedTrailError, UnknownModelError, UnknownVersionError
from queuecast.domain.model import Aliases, AliasMove, aliases_after, moves_beyond, moves_in_common
from queuecast.plurals import counted
from queuecast.ports.aliases import AliasStore
from queuecast.ports.audit import AuditTrails, UnexportedMoves
from queuecast.ports.models import ModelRegistry


@dataclass(frozen=True, slots=True)
class Rebuild:
    """restored: the number of moves that were added to Redis. dropped: the moves that were only in Redis."""

    aliases: Aliases
    restored: int
    dropped: list[AliasMove]


def rebuild(model: str, trails: AuditTrails, aliases: AliasStore, models: ModelRegistry, *, force: bool) -> Rebuild:
    """Makes the aliases and the history in Redis equal to the audit file. Safe to call twice.

    Raises UnknownModelError without a trail, DamagedFileError, UnknownVersionError if an alias would point at a
    missing version, and ConflictError if Redis has moves that the file lacks, unless `force` discards them.
    """
    _require_trail(model, trails)
    with trails.locked(model) as trail:  # the reaper must not export at the same time
        rebuilt = aliases_after(trail.moves)
        _require_versions(model, rebuilt, models)
        present, stored = aliases.read(model), aliases.history(model)
        in_common = moves_in_common(trail.moves, stored)
        dropped = stored[in_common:]
        if dropped and not force:
            first = _text(dropped[0])
            raise ConflictError(
                f"Redis is at generation {present.generation}, the audit file at {rebuilt.generation}; "
                f"{counted(len(dropped), 'move')} {'is' if len(dropped) == 1 else 'are'} only in Redis, "
                f"the first one {first}; --force discards the moves that are only in Redis"
            )
        if present != rebuilt or stored != trail.moves:
            aliases.rebuild(model, trail.moves, present.generation)
        return Rebuild(rebuilt, len(trail.moves) - in_common, dropped)


def compare_with_redis(model: str, trails: AuditTrails, aliases: UnexportedMoves) -> str:
    """Compares a model's audit file with Redis, in words. Raises ForkedTrailError if one of them has lost moves.

    Only this comparison detects lines that were cut off at the end of the file: Redis has more moves, and the model
    is not on the list of models to export.
    """
    _require_trail(model, trails)
    with trails.locked(model) as trail:  # an export in between would look like lost moves
        stored = aliases.history(model)
        is_listed = model in aliases.unexported()
        filed = len(trail.moves)
    new = moves_beyond(trail.moves, stored)
    if new and not is_listed:
        raise ForkedTrailError(f"Redis has {counted(len(new), 'move')} more: the end of the audit file is missing")
    return f"Redis has {len(new)} more, which the reaper will append" if new else f"Redis has the same {filed}"


def _text(move: AliasMove) -> str:
    if move.deletes(move.version):
        return f"deletes version {move.version}"
    return f"{move.alias} to version {move.version}"


def _require_trail(model: str, trails: AuditTrails) -> None:
    if model not in trails.models():
        raise UnknownModelError(f"the file store has no audit trail of {model}")


def _require_versions(model: str, aliases: Aliases, models: ModelRegistry) -> None:
    present = models.versions(model) if aliases.versions else []
    for alias, version in aliases.versions.items():
        if version not in present:
            raise UnknownVersionError(
                f"{alias} would be version {version}, which is not in the file store; restore its folder first"
            )
