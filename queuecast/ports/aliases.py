"""Aliases of models and the history of their moves."""

from typing import Protocol

from queuecast.domain.job import Job
from queuecast.domain.model import Aliases, AliasMove


class AliasStore(Protocol):
    def read(self, model: str) -> Aliases:
        """A model without aliases has generation 0."""

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        """Sets or deletes the alias and appends to the history in one step.

        Only if `move.generation` is the present one plus one.

        run: the claimed job that moves the alias. Raises PreconditionFailedError when an alias was moved in between,
        and JobStoppedError when this run no longer owns its job.
        """

    def delete(self, model: str, deletion: AliasMove, made_by: str = "") -> None:
        """Records the deletion of a version, or of the model with all versions and aliases, in one step.

        From then on no job is accepted for it. Only if `deletion.generation` is the present one plus one. The caller
        knows that at the present generation no alias names the version. made_by: the job that made the version.
        Raises PreconditionFailedError when an alias was moved in between, and ConflictError (code `in_use`) while a job
        that has not ended needs the version or the model, or has made the version.
        """

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        """Replaces the aliases and the history of a model by those of `moves`, its whole history, oldest first.

        Raises PreconditionFailedError unless the generation is `expected`.
        """


class AliasMoves(Protocol):
    """The alias store, as a process needs it that follows the moves of all models."""

    def wait_for_moves(self, since: str, timeout_s: float) -> tuple[list[str], str]:
        """The models whose aliases moved after `since`, or move within `timeout_s`, and the place to go on from.

        since: such a place, or empty to begin now. A process that is thousands of moves behind may miss some.
        """

    def claim_check(self, model: str, generation: int) -> bool:
        """Whether the caller is the first one that claims to check this generation of the model."""
