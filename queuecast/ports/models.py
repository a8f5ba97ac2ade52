"""The immutable versions of models."""

from typing import Protocol

from queuecast.domain.model import Manifest


class ModelRegistry(Protocol):
    def publish(self, manifest: Manifest, files: dict[str, bytes], *, above: int = 0) -> Manifest:
        """Writes a version under the next free number above `above` and returns the manifest with that number.

        Readers see the whole version or nothing. `manifest.version` is ignored. A job publishes once, however often it
        runs: a later call returns the manifest of its version and writes nothing. Raises UnavailableError (code
        `disk_full`) when the disk is full, and GoneVersionError if the job's version was deleted.
        """

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        """The version that a job published. Raises GoneVersionError if it was deleted."""

    def models(self) -> list[str]:
        """The names of the models that have a version."""

    def versions(self, model: str) -> list[int]:
        """Ascending, without deleted ones. Raises UnknownModelError, or GoneModelError if all are deleted."""

    def manifest(self, model: str, version: int) -> Manifest:
        """Raises UnknownModelError, UnknownVersionError or GoneVersionError."""

    def file(self, model: str, version: int, name: str) -> bytes:
        """A file of the version, for example `model.skops`. Raises UnknownVersionError or GoneVersionError."""

    def remove(self, model: str, version: int) -> bool:
        """Removes the files of a deleted version for good and keeps its number taken. False: there was nothing to do.

        A removal that was interrupted is finished by the next call.
        """
