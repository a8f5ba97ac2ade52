"""Aliases of models and the history of their moves."""

from typing import Protocol

from queuecast.domain.job import Job
from queuecast.domain.model import Aliases, AliasMove


class AliasStore(Protocol):
    def read(self, model: str) -> Aliases:
        """A model without aliases has generation 0."""

    def move(self, model: str, move: AliasMove, run: Job | None = None) -> None:
        """Sets the alias and appends to the history at once, if `move.generation` is the present one plus one.

        run: the job on whose behalf, as it was claimed. Raises PreconditionFailedError when somebody else moved an
        alias first, JobStoppedError when that run does not own its job any more.
        """

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def rebuild(self, model: str, moves: list[AliasMove], expected: int) -> None:
        """Replaces aliases and history by what `moves` (all there ever were, oldest first) say.

        Raises PreconditionFailedError unless the generation is `expected`.
        """
