"""Uploaded files."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: float


class IncomingFile(Protocol):
    """A file that is being received. It is invisible until `keep`; `drop` deletes it and may be called twice."""

    stream: IO[bytes]

    def keep(self, name: str, media_type: str) -> StoredFile: ...

    def drop(self) -> None: ...


class FileStore(Protocol):
    def receive(self) -> IncomingFile:
        """Raises FilesFullError when all files together have reached their limit."""

    def stat(self, file_id: str) -> StoredFile:
        """Raises UnknownFileError."""

    def path(self, file_id: str) -> Path:
        """The path of the content. Counts as a use of the file. Raises UnknownFileError."""

    def delete(self, file_id: str) -> None:
        """Raises UnknownFileError."""

    def size_bytes(self) -> int:
        """The size of all files together."""
