"""The immutable versions of models."""

from typing import Protocol

from queuecast.domain.model import Manifest


class ModelRegistry(Protocol):
    """Immutable versions."""

    def publish(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        """Writes a version under the next free number and returns the manifest that carries it.

        The version is visible whole or not at all. `manifest.version` is ignored. A job makes one version, however
        often it is run: where it has made one, that one's manifest is returned and nothing is written. Raises
        UnavailableError (code `disk_full`) when there is no room.
        """

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        """The version that a job made."""

    def models(self) -> list[str]: ...

    def versions(self, model: str) -> list[int]:
        """Ascending. Raises UnknownModelError."""

    def manifest(self, model: str, version: int) -> Manifest:
        """Raises UnknownModelError or UnknownVersionError."""

    def file(self, model: str, version: int, name: str) -> bytes:
        """One of the files beside the manifest, for example `model.skops`. Raises UnknownVersionError."""
