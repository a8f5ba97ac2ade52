"""Folders on disk."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Returns when the names of the folder's files are on the disk: syncing a file does not sync its name."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
