"""Moving an alias on behalf of a job: by compare-and-set, so that a person's move meanwhile wins."""

from queuecast.domain.errors import PreconditionFailedError
from queuecast.domain.model import CHAMPION, AliasMove, Manifest
from queuecast.ports import AliasStore


def promote(
    aliases: AliasStore,
    manifest: Manifest,
    *,
    expected: int | None,
    at: float,
    action: str,
    reason: str,
    alias: str = CHAMPION,
) -> bool:
    """Points `alias` at the version if it points at `expected` now; False when somebody moved it meanwhile.

    A move of another alias of the same model is no reason to give up: the generation is read again.
    """
    while True:
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
            job_id=manifest.job_id,
        )
        try:
            aliases.move(manifest.model, move)
        except PreconditionFailedError:
            continue
        return True
