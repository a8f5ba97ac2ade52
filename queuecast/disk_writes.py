"""What every writer of files must know: when a name is on the disk, and which errors mean that there is no room."""

import errno
import os
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a full disk, of a used up quota and of a file that would be too large."""


def sync_folder(folder: Path) -> None:
    """Returns when the names of the folder's files are on the disk: syncing a file does not sync its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
