"""Writes files that are complete or absent: under another name, synced, then renamed."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from queuecast.domain.errors import UnavailableError


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Leaves no file if the body raises an error. Of two writers of one file, the last one wins."""
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def disk_full_as_unavailable() -> Iterator[None]:
    """Raises UnavailableError (code `disk_full`) where what is done inside finds no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UnavailableError(f"there is no room left for the batch: {error}", code="disk_full") from error
