"""A full disk, told as what it is: something that may be over later, so that the job is tried again."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from queuecast.domain.errors import UnavailableError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_needed() -> Iterator[None]:
    """Raises UnavailableError (code `disk_full`) where what is done inside finds no room."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UnavailableError(f"there is no room left for the batch: {error}", code="disk_full") from error
