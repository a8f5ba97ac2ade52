"""Model versions as folders: `{root}/{model}/{version}/` with `manifest.json`, `model.skops` and other files.

A version is written to `.incoming-*`, fsynced and renamed. Renaming to a folder that is not empty fails (rename(2)), so
two publishers get two numbers without a lock. It also makes a job publish only once: numbers have no gaps, so the later
of two runs either saw the earlier run's version when it chose its number, or fails to rename and checks again.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from queuecast.disk_writes import NO_ROOM, sync_folder
from queuecast.domain.errors import UnavailableError, UnknownModelError, UnknownVersionError
from queuecast.domain.model import NAME_RULE, Manifest

MANIFEST = "manifest.json"
ABANDONED_S = 3600.0
_VERSION = re.compile("[1-9][0-9]*")


class ModelFiles:
    def __init__(self, root: Path) -> None:
        self._root = root
        # A version never changes, so its manifest can be cached forever.
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
            sync_folder(incoming)
            try:
                incoming.rename(home / str(version))
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                sync_folder(home)
                return numbered

    def made_by(self, model: str, job_id: str) -> Manifest | None:
        return self._made_by(model, _numbers(self._root / model), job_id)

    def _made_by(self, model: str, numbers: list[int], job_id: str) -> Manifest | None:
        for version in sorted(numbers, reverse=True):
            with suppress(UnknownVersionError):  # a folder that was made by hand may have no manifest
                manifest = self.manifest(model, version)
                if manifest.job_id == job_id:
                    return manifest
        return None

    def sweep(self) -> None:
        """Removes the unfinished versions of publishers that died."""
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
    return [int(entry.name) for entry in home.iterdir() if _VERSION.fullmatch(entry.name)] if home.is_dir() else []


def remove_abandoned(folder: Path) -> None:
    """Removes unfinished and half-deleted folders that were not written to for an hour."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith((".incoming-", ".deleted-")) and time.time() - _written_at(entry) > ABANDONED_S:
            shutil.rmtree(entry, ignore_errors=True)


def _written_at(folder: Path) -> float:
    """When something in the folder was last written; now, if it disappears during the check."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except FileNotFoundError:
        return time.time()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
