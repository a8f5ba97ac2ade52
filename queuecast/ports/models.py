"""The immutable versions of models."""

from typing import Protocol

from queuecast.domain.model import Manifest


class ModelRegistry(Protocol):
    def publish(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        """Writes a version under the next free number and returns the manifest with that number.

        Readers see the whole version or nothing. `manifest.version` is ignored. A job publishes once, however often it
        runs: a later call returns the manifest of its version and writes nothing. Raises UnavailableError (code
        `disk_full`) when the disk is full.
        """

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        """The version that a job published."""

    def models(self) -> list[str]: ...

    def versions(self, model: str) -> list[int]:
        """Ascending. Raises UnknownModelError."""

    def manifest(self, model: str, version: int) -> Manifest:
        """Raises UnknownModelError or UnknownVersionError."""

    def file(self, model: str, version: int, name: str) -> bytes:
        """A file of the version, for example `model.skops`. Raises UnknownVersionError."""
