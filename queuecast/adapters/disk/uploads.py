"""Uploaded files as folders: `{root}/{id}/content` and `about.json`. Hashed while they are written, never after."""

import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from queuecast.adapters.disk.models import NO_ROOM, remove_abandoned
from queuecast.domain.errors import FilesFullError, UnknownFileError
from queuecast.ports.clock import Clock
from queuecast.ports.files import StoredFile

# A prediction worker has the files read-only; the gateway has noted the use when it took the batch.
NOT_OURS_TO_TOUCH = {errno.EROFS, errno.EPERM, errno.EACCES}
ID_RULE = re.compile(r"file_[0-9a-f-]{36}")


class UploadedFiles:
    def __init__(self, root: Path, new_id: Callable[[str], str], clock: Clock, max_bytes: int = sys.maxsize) -> None:
        """max_bytes: of all files together; those that arrive at the same time may exceed it by themselves."""
        self._root = root
        self._new_id = new_id
        self._clock = clock
        self._max_bytes = max_bytes

    def receive(self) -> "Incoming":
        taken = self.size_bytes()
        if taken >= self._max_bytes:
            raise FilesFullError(f"the uploaded files have {taken} bytes, expected fewer than {self._max_bytes}")
        with _full_disk_told():
            self._root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
            folder.chmod(0o755)
            return Incoming(self._root, folder, self._new_id, self._clock)

    def stat(self, file_id: str) -> StoredFile:
        try:
            about = (self._folder(file_id) / "about.json").read_bytes()
        except FileNotFoundError:  # deleted since the look whether it is there
            raise _unknown(file_id) from None
        return msgspec.json.decode(about, type=StoredFile)

    def path(self, file_id: str) -> Path:
        folder = self._folder(file_id)
        try:
            os.utime(folder)
        except FileNotFoundError:
            raise _unknown(file_id) from None
        except OSError as error:
            if error.errno not in NOT_OURS_TO_TOUCH:
                raise
        return folder / "content"

    def size_bytes(self) -> int:
        """Of all files, those that are on their way in among them."""
        size_bytes = 0
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError, NotADirectoryError):  # files come and go meanwhile
                size_bytes += (folder / "content").stat().st_size
        return size_bytes

    def sweep(self, before: float) -> None:
        """Removes files that nobody used since `before`, and what uploads left that died."""
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError, UnknownFileError):  # somebody else deletes it
                if ID_RULE.fullmatch(folder.name) and folder.stat().st_mtime < before:
                    self.delete(folder.name)
        remove_abandoned(self._root)

    def delete(self, file_id: str) -> None:
        # Renamed first: of two that delete it at once, one does, and nobody reads half of it.
        gone = self._root / f".deleted-{self._new_id('file')}"
        try:
            self._folder(file_id).rename(gone)
        except FileNotFoundError:
            raise _unknown(file_id) from None
        shutil.rmtree(gone, ignore_errors=True)  # a sweep may be at it too; what is left, the next one takes

    def _folder(self, file_id: str) -> Path:
        folder = self._root / file_id
        if not ID_RULE.fullmatch(file_id) or not folder.is_dir():
            raise _unknown(file_id)
        return folder


@contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise FilesFullError("the disk of the uploaded files is full") from error
        raise


def _unknown(file_id: str) -> UnknownFileError:
    return UnknownFileError(f"no file {file_id[:80]!r}; upload it with POST /v1/files")


class HashedFile(FileIO):
    """A file that knows the sha256 of what was written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size_bytes += len(data)
        view = memoryview(data)
        with _full_disk_told():
            while view:  # a raw file may write less than it was given
                view = view[super().write(view) :]
        return len(data)


class Incoming:
    def __init__(self, root: Path, folder: Path, new_id: Callable[[str], str], clock: Clock) -> None:
        self._root = root
        self._folder = folder
        self._new_id = new_id
        self._clock = clock
        self._file = HashedFile(folder / "content")
        self.stream: IO[bytes] = cast(IO[bytes], self._file)

    def keep(self, name: str, media_type: str) -> StoredFile:
        stored = StoredFile(
            id=self._new_id("file"),
            name=name,
            media_type=media_type,
            size_bytes=self._file.size_bytes,
            sha256=self._file.sha256.hexdigest(),
            created_at=self._clock(),
        )
        with _full_disk_told():
            self._file.close()
            (self._folder / "about.json").write_bytes(msgspec.json.encode(stored))
            self._folder.rename(self._root / stored.id)
        return stored

    def drop(self) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
