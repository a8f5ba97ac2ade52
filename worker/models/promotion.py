"""Moves an alias for a job, by compare-and-set: a person's move in between wins."""

from queuecast.domain.errors import PreconditionFailedError
from queuecast.domain.job import Job
from queuecast.domain.model import CHAMPION, AliasMove, Manifest
from queuecast.ports.aliases import AliasStore


def promote(
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

    A move of another alias of the same model is no reason to give up: the generation is read again. A job moves an
    alias once: an earlier run of it that did so and died is believed, whatever a person did since. Raises
    JobStoppedError when the run does not own its job any more.
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
