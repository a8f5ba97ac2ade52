"""A disk that is small enough to be filled, and files of a given age."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DISK_BYTES = 256 * 1024
DISK_FILES = 40  # including folders


def mount(folder: Path, size_bytes: int = DISK_BYTES) -> bool:
    """Mounts a tmpfs of that size; False without the right to mount."""
    if os.geteuid() != 0:
        return False
    options = f"size={size_bytes},nr_inodes={DISK_FILES}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def use_up_bytes(disk: Path) -> Iterator[None]:
    """Leaves no free byte on the disk."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@contextmanager
def use_up_inodes(disk: Path) -> Iterator[None]:
    """Leaves free bytes, but no inode for another file or folder."""
    made: list[Path] = []
    with suppress(OSError):
        while True:
            path = disk / f"filler-{len(made)}"
            path.touch()
            made.append(path)
    yield
    for path in made:
        path.unlink()


def set_age(path: Path, age_s: float) -> Path:
    os.utime(path, (time.time() - age_s,) * 2)
    return path
