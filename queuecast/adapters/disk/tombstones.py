"""The folder of a deleted version, which stays on the disk with one small file, `deleted.json`.

It keeps the number taken. A removal begins by renaming `manifest.json` to `deleted.json`: one step, which a
full disk allows too, and from then on the version is deleted for every reader. The other files go next. At last
`deleted.json` shrinks, because a manifest has rows of the model's data.
"""

import os
import shutil
from pathlib import Path

import msgspec

from queuecast.disk_writes import sync_folder

MANIFEST = "manifest.json"
TOMBSTONE = "deleted.json"


class Tombstone(msgspec.Struct):
    """job_id: of the job that made the version; it must not make another one."""

    model: str = ""
    version: int = 0
    sha256: str = ""
    job_id: str = ""


def is_deleted(folder: str | Path) -> bool:
    return os.path.exists(f"{folder}/{TOMBSTONE}")  # noqa: PTH110 - asked at every prediction; a path may be too long


def read_tombstone(folder: Path) -> Tombstone:
    """An empty one if the file cannot be read: the version is deleted in any case."""
    try:
        return msgspec.json.decode((folder / TOMBSTONE).read_bytes(), type=Tombstone)
    except (OSError, msgspec.MsgspecError):
        return Tombstone()


def remove_version(folder: Path) -> bool:
    """False if nothing was left to remove."""
    small = msgspec.json.encode(read_tombstone(folder))
    path = folder / TOMBSTONE
    if list(folder.iterdir()) == [path] and path.stat().st_size == len(small):
        return False
    if not is_deleted(folder) and (folder / MANIFEST).exists():
        (folder / MANIFEST).rename(path)
        sync_folder(folder)
        small = msgspec.json.encode(read_tombstone(folder))
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry != path:
            entry.unlink()
    incoming = folder / f"{TOMBSTONE}.incoming"
    with incoming.open("wb") as file:
        file.write(small)
        file.flush()
        os.fsync(file.fileno())
    incoming.rename(path)
    sync_folder(folder)
    return True
