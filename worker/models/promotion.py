"""Moves an alias for a job, by compare-and-set: a person's move in between wins."""

from queuecast.domain.errors import PreconditionFailedError
from queuecast.domain.job import Job
from queuecast.domain.model import CHAMPION, AliasMove, Manifest
from queuecast.ports.aliases import AliasStore


def move_alias(
    aliases: AliasStore,
    manifest: Manifest,
    *,
    expected: int | None,
    at: float,
    action: str,
    reason: str,
    alias: str = CHAMPION,
    run: Job,
) -> bool:
    """Points `alias` at the version if it points at `expected` now; False if it was moved in between.

    If another alias of the model moved, the generation is read again. A job moves an alias once: if an earlier run of
    the job moved it and died, the result is True even if a person moved the alias since. Raises JobStoppedError if
    the run no longer owns its job.
    """
    while True:
        if any(move.job_id == run.id and move.alias == alias for move in aliases.history(manifest.model)):
            return True
        present = aliases.read(manifest.model)
        if present.versions.get(alias) != expected:
            return False
        move = AliasMove(
            generation=present.generation + 1,
            alias=alias,
            version=manifest.version,
            previous=expected,
            at=at,
            action=action,
            reason=reason,
            job_id=run.id,
        )
        try:
            aliases.move(manifest.model, move, run)
        except PreconditionFailedError:
            continue
        return True
