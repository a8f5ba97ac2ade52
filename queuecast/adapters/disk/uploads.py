"""Uploaded files as folders: `{root}/{id}/content` and `about.json`. A file is hashed while it is written.

`{root}/.sha256-{sha256}` is a hard link to the content, so that the same content is kept once.
"""

import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from queuecast.adapters.disk.models import remove_abandoned
from queuecast.disk_writes import NO_ROOM
from queuecast.domain.errors import FilesFullError, UnknownFileError
from queuecast.domain.id_rules import FILE_ID_RULE
from queuecast.ports.clock import Clock
from queuecast.ports.files import StoredFile

SHARED = ".sha256-"

# A prediction worker mounts the files read-only; the gateway touched the file when it accepted the batch.
READ_ONLY_ERRORS = {errno.EROFS, errno.EPERM, errno.EACCES}


class UploadedFiles:
    def __init__(self, root: Path, new_id: Callable[[str], str], clock: Clock, max_bytes: int = sys.maxsize) -> None:
        """max_bytes: of all files together. Uploads in progress at the same time can exceed it."""
        self._root = root
        self._new_id = new_id
        self._clock = clock
        self._max_bytes = max_bytes

    def receive(self) -> "Incoming":
        taken = self.size_bytes()
        if taken >= self._max_bytes:
            raise FilesFullError(f"the uploaded files have {taken} bytes, expected fewer than {self._max_bytes}")
        with _disk_full_as_files_full():
            self._root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
            folder.chmod(0o755)
            return Incoming(self._root, folder, self._new_id, self._clock)

    def stat(self, file_id: str) -> StoredFile:
        try:
            return _read_about(self._folder(file_id))
        except FileNotFoundError:  # deleted after the check
            raise _unknown(file_id) from None

    def path(self, file_id: str) -> Path:
        folder = self._folder(file_id)
        try:
            os.utime(folder)
        except FileNotFoundError:
            raise _unknown(file_id) from None
        except OSError as error:
            if error.errno not in READ_ONLY_ERRORS:
                raise
        return folder / "content"

    def size_bytes(self) -> int:
        """The size of all files, including unfinished uploads. Files with the same content count once."""
        sizes: dict[int, int] = {}  # by inode
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError, NotADirectoryError):  # an upload ended or was deleted during the walk
                found = (folder / "content").stat()
                sizes[found.st_ino] = found.st_size
        return sum(sizes.values())

    def sweep(self, before: float) -> None:
        """Removes files that were not used since `before`, and unfinished uploads of gateways that died."""
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            with suppress(FileNotFoundError, UnknownFileError):  # another process deletes it
                if FILE_ID_RULE.fullmatch(folder.name) and folder.stat().st_mtime < before:
                    self.delete(folder.name)
        remove_abandoned(self._root)
        for shared in self._root.glob(f"{SHARED}*"):  # of uploads and deletions that died
            _forget_unused(shared)

    def delete(self, file_id: str) -> None:
        # Renamed first: only one of two processes can delete it, and no reader sees half a file.
        deleted = self._root / f".deleted-{self._new_id('file')}"
        try:
            self._folder(file_id).rename(deleted)
        except FileNotFoundError:
            raise _unknown(file_id) from None
        shared = None
        with suppress(OSError, msgspec.MsgspecError):  # the next sweep forgets it
            shared = _shared(self._root, _read_about(deleted).sha256)
        shutil.rmtree(deleted, ignore_errors=True)  # the next sweep removes the rest, if this fails
        if shared is not None:
            _forget_unused(shared)

    def _folder(self, file_id: str) -> Path:
        folder = self._root / file_id
        if not FILE_ID_RULE.fullmatch(file_id) or not folder.is_dir():
            raise _unknown(file_id)
        return folder


def _read_about(folder: Path) -> StoredFile:
    return msgspec.json.decode((folder / "about.json").read_bytes(), type=StoredFile)


def _shared(root: Path, sha256: str) -> Path:
    """A further hard link to the content of all files with this sha256. It finds them without a walk."""
    return root / f"{SHARED}{sha256}"


def _forget_unused(shared: Path) -> None:
    """Removes the link if no file has the content. An upload that would share it at this moment keeps its own."""
    with suppress(OSError):
        if shared.stat().st_nlink == 1:
            shared.unlink()


@contextmanager
def _disk_full_as_files_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise FilesFullError("the disk of the uploaded files is full") from error
        raise


def _unknown(file_id: str) -> UnknownFileError:
    return UnknownFileError(f"no file {file_id[:80]!r}; upload it with POST /v1/files")


class HashedFile(FileIO):
    """A file that hashes the bytes written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size_bytes += len(data)
        view = memoryview(data)
        with _disk_full_as_files_full():
            while view:  # a raw file may write only some of the bytes
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
        with _disk_full_as_files_full():
            self._file.close()
            (self._folder / "about.json").write_bytes(msgspec.json.encode(stored))
            if stored.size_bytes:
                self._share_content(stored)
            self._folder.rename(self._root / stored.id)
        return stored

    def _share_content(self, stored: StoredFile) -> None:
        """Keeps content that is stored already once, by a hard link. Each file can be deleted without the other.

        Does nothing where the file system has no hard links. Content that a crash has cut off is not shared.
        """
        content, link = self._folder / "content", self._folder / ".link"
        shared = _shared(self._root, stored.sha256)
        with suppress(OSError):
            try:
                os.link(content, shared)
            except FileExistsError:
                if shared.stat().st_size == stored.size_bytes:
                    os.link(shared, link)
                    link.rename(content)
                else:
                    os.link(content, link)
                    link.rename(shared)

    def drop(self) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        _forget_unused(_shared(self._root, self._file.sha256.hexdigest()))
