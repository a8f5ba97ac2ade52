"""Model versions as folders: `{root}/{model}/{version}/` with `manifest.json`, `model.skops` and what else there is.

A version is written beside (`.incoming-*`), fsynced and renamed. Renaming onto a folder that has something in it
fails, which is what makes two publishers take two numbers without a lock (rename(2)). It also makes a job publish once:
numbers have no gaps, so of two runs of one job the later renamer either meets a folder and looks again, or saw the
earlier one's when it looked for the next number.
"""

import errno
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from queuecast.domain.errors import UnavailableError, UnknownModelError, UnknownVersionError
from queuecast.domain.model import NAME_RULE, Manifest

MANIFEST = "manifest.json"
ABANDONED_S = 3600.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class ModelFiles:
    def __init__(self, root: Path) -> None:
        self._root = root
        # A version never changes, so a manifest that was read once is true for ever.
        self._cached = lru_cache(maxsize=1024)(self._read_manifest)

    def publish(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        try:
            return self._publish(manifest, files)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            detail = f"there is no room left for a version of {manifest.model}: {error}"
            raise UnavailableError(detail, code="disk_full") from error

    def _publish(self, manifest: Manifest, files: dict[str, bytes]) -> Manifest:
        home = self._root / manifest.model
        home.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=home))
        try:
            incoming.chmod(0o755)
            for name, content in files.items():
                _write(incoming / name, content)
            return self._rename(manifest, home, incoming)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _rename(self, manifest: Manifest, home: Path, incoming: Path) -> Manifest:
        while True:
            numbers = _numbers(home)
            made = self._made_by(manifest.model, numbers, manifest.job_id)
            if made is not None:
                return made
            version = max(numbers, default=0) + 1
            numbered = replace(manifest, version=version)
            _write(incoming / MANIFEST, msgspec.json.format(msgspec.json.encode(numbered)))
            _sync_folder(incoming)
            try:
                incoming.rename(home / str(version))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                _sync_folder(home)
                return numbered

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        return self._made_by(model, _numbers(self._root / model), job_id)

    def _made_by(self, model: str, numbers: list[int], job_id: str) -> Manifest | None:
        for version in sorted(numbers, reverse=True):
            with suppress(UnknownVersionError):  # a folder that somebody made by hand has no manifest
                manifest = self.manifest(model, version)
                if manifest.job_id == job_id:
                    return manifest
        return None

    def sweep(self) -> None:
        """Removes what publishers left that died."""
        for home in self._root.iterdir() if self._root.is_dir() else ():
            remove_abandoned(home)

    def models(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(home.name for home in self._root.iterdir() if home.is_dir() and _numbers(home))

    def versions(self, model: str) -> list[int]:
        numbers = _numbers(self._root / model) if NAME_RULE.fullmatch(model) else []
        if not numbers:
            raise UnknownModelError(f"no model {model[:80]!r}" + self._hint())
        return sorted(numbers)

    def manifest(self, model: str, version: int) -> Manifest:
        return self._cached(model, version)

    def file(self, model: str, version: int, name: str) -> bytes:
        try:
            return self._folder(model, version).joinpath(name).read_bytes()
        except FileNotFoundError:
            raise UnknownVersionError(f"model {model} version {version} has no {name}") from None

    def _read_manifest(self, model: str, version: int) -> Manifest:
        return msgspec.json.decode(self.file(model, version, MANIFEST), type=Manifest)

    def _folder(self, model: str, version: int) -> Path:
        numbers = self.versions(model)
        if version not in numbers:
            raise UnknownVersionError(f"model {model} has no version {version}; its latest is {numbers[-1]}")
        return self._root / model / str(version)

    def _hint(self) -> str:
        names = self.models()
        return f"; there are {', '.join(names[:10])}" if names else "; none was pushed yet"


def _numbers(home: Path) -> list[int]:
    return [int(entry.name) for entry in home.iterdir() if entry.name.isdecimal()] if home.is_dir() else []


def remove_abandoned(folder: Path) -> None:
    """Removes folders that were to be renamed or removed, and that nobody wrote to for an hour."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith((".incoming-", ".deleted-")) and time.time() - _written_at(entry) > ABANDONED_S:
            shutil.rmtree(entry, ignore_errors=True)


def _written_at(folder: Path) -> float:
    """When something in it was last written; now, if it goes away meanwhile."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
