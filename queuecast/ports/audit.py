"""The audit trail of alias moves outside of Redis."""

from contextlib import AbstractContextManager
from typing import Protocol

from queuecast.domain.model import AliasMove


class UnexportedMoves(Protocol):
    """The store of aliases, as the export of its moves to files sees it."""

    def unexported(self) -> list[str]:
        """Models with moves that may be in no file yet. One round trip."""

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def mark_exported(self, model: str, count: int) -> bool:
        """Takes the model off that list; False, and nothing happens, when it has another number of moves by now."""


class OpenTrail(Protocol):
    """A model's audit file while nobody else writes to it."""

    moves: list[AliasMove]

    def append(self, moves: list[AliasMove]) -> None:
        """Returns when the moves are on the disk."""


class AuditTrails(Protocol):
    """A model's alias moves outside of Redis, so that they outlive it."""

    def models(self) -> list[str]: ...

    def read(self, model: str) -> list[AliasMove]:
        """Oldest first; none for a model without a trail. Raises DamagedFileError."""

    def locked(self, model: str) -> AbstractContextManager[OpenTrail]:
        """Waits until it is alone. Raises DamagedFileError."""
