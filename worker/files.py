"""Files that are there whole or not at all: written beside, synced, renamed."""

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
    """Nothing is left behind when the body raises. Two that write the same file leave the one that came last."""
    beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
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
