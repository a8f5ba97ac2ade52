"""The audit trail of alias moves in files."""

from contextlib import AbstractContextManager
from typing import Protocol

from queuecast.domain.model import AliasMove


class UnexportedMoves(Protocol):
    """The alias store, as the export to audit files needs it."""

    def unexported(self) -> list[str]:
        """Models with moves that may not be in a file yet. One round trip."""

    def history(self, model: str) -> list[AliasMove]:
        """Oldest first."""

    def mark_exported(self, model: str, count: int) -> bool:
        """Removes the model from that list; False, without an effect, when it no longer has `count` moves."""


class OpenTrail(Protocol):
    """A model's audit file, locked against other writers."""

    moves: list[AliasMove]

    def append(self, moves: list[AliasMove]) -> None:
        """Returns when the moves are on the disk."""


class AuditTrails(Protocol):
    """The alias moves of models outside of Redis, so that they survive it."""

    def models(self) -> list[str]: ...

    def read(self, model: str) -> list[AliasMove]:
        """Oldest first; empty for a model without a trail. Raises DamagedFileError."""

    def locked(self, model: str) -> AbstractContextManager[OpenTrail]:
        """Waits until no other process has the trail open. Raises DamagedFileError."""
