"""Reads and writes whole files: a checksum, an atomic write, and a full disk as an error that is retried."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from queuecast.disk_writes import NO_ROOM, sync_folder
from queuecast.domain.errors import InvalidInputError, UnavailableError


def sha256_of_file(path: Path, after_block: Callable[[], None] = lambda: None) -> str:
    """after_block: called after every 4 MiB, so that a run can report its progress and stop."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(4 * 2**20):
            digest.update(block)
            after_block()
    return digest.hexdigest()


def require_accepted_file(path: Path, sha256: str, after_block: Callable[[], None] = lambda: None) -> None:
    """Raises InvalidInputError unless the bytes are those that the job was accepted for."""
    found = sha256_of_file(path, after_block)
    if found != sha256:
        raise InvalidInputError(
            f"the file has sha256 {found} now, the job was accepted for {sha256}", code="file_changed"
        )


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Writes to another name, syncs, then renames, so the file is complete or absent.

    Leaves no file if the body raises an error. If two processes write the same file, the last one wins.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def disk_full_as_unavailable() -> Iterator[None]:
    """Raises UnavailableError (code `disk_full`) if the disk or the quota is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UnavailableError(f"there is no room left for the job's files: {error}", code="disk_full") from error
