"""Model versions as folders: `{root}/{model}/{version}/` with `manifest.json`, `model.skops` and other files.

A version is written to `.incoming-*`, fsynced and renamed. Renaming to a folder that is not empty fails (rename(2)), so
two publishers get two numbers without a lock. It also makes a job publish only once: numbers have no gaps, so the later
of two runs either saw the earlier run's version when it chose its number, or fails to rename and checks again. The
folder of a deleted version stays, and so its number is taken; see `tombstones`.
"""

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from queuecast.adapters.disk.tombstones import MANIFEST, is_deleted, read_tombstone, remove_version
from queuecast.disk_writes import NO_ROOM, sync_folder
from queuecast.domain.deletion import gone_model, gone_version
from queuecast.domain.errors import Finding, UnavailableError, UnknownModelError, UnknownVersionError
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.nearest_names import unknown_name
from queuecast.domain.model import NAME_RULE, Manifest

ABANDONED_S = 3600.0
_VERSION = re.compile("[1-9][0-9]*")


class ModelFiles:
    def __init__(self, root: Path) -> None:
        self._root = root
        # A version never changes until it is deleted, which `manifest` checks, so its manifest can be cached forever.
        self._cached = lru_cache(maxsize=1024)(self._read_manifest)

    def publish(self, manifest: Manifest, files: dict[str, bytes], *, above: int = 0) -> Manifest:
        try:
            return self._publish(manifest, files, above)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            detail = f"there is no room left for a version of {manifest.model}: {error}"
            raise UnavailableError(detail, code="disk_full") from error

    def _publish(self, manifest: Manifest, files: dict[str, bytes], above: int) -> Manifest:
        home = self._root / manifest.model
        home.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=home))
        try:
            incoming.chmod(0o755)
            for name, content in files.items():
                _write(incoming / name, content)
            return self._rename(manifest, home, incoming, above)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _rename(self, manifest: Manifest, home: Path, incoming: Path, above: int) -> Manifest:
        while True:
            numbers = _numbers(home)
            made = self._made_by(manifest.model, numbers, manifest.job_id)
            if made is not None:
                return made
            version = max(above, *numbers, 0) + 1
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
            if is_deleted(folder := self._root / model / str(version)):
                if job_id and read_tombstone(folder).job_id == job_id:
                    raise gone_version(model, version)
                continue
            with suppress(UnknownVersionError):  # a folder that was made by hand may have no manifest
                manifest = self.manifest(model, version)
                if manifest.job_id == job_id:
                    return manifest
        return None

    def sweep(self) -> None:
        """Removes the unfinished versions of publishers that died, and finishes interrupted removals."""
        for home in self._root.iterdir() if self._root.is_dir() else ():
            remove_abandoned(home)
            for version in _numbers(home):
                if is_deleted(folder := home / str(version)):
                    remove_version(folder)

    def remove(self, model: str, version: int) -> bool:
        folder = self._root / model / str(version)
        return folder.is_dir() and remove_version(folder)

    def models(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(home.name for home in self._root.iterdir() if home.is_dir() and any(_remaining(home)))

    def versions(self, model: str) -> list[int]:
        home = self._root / model
        remaining = sorted(_remaining(home)) if NAME_RULE.fullmatch(model) else []
        if not remaining:
            if NAME_RULE.fullmatch(model) and _numbers(home):
                raise gone_model(model)
            raise self._unknown_model(model)
        return remaining

    def manifest(self, model: str, version: int) -> Manifest:
        manifest = self._cached(model, version)
        if is_deleted(f"{self._root}/{model}/{version}"):
            raise gone_version(model, version)
        return manifest

    def file(self, model: str, version: int, name: str) -> bytes:
        try:
            return self._folder(model, version).joinpath(name).read_bytes()
        except FileNotFoundError:
            self._folder(model, version)  # raises GoneVersionError if the version was deleted since
            raise UnknownVersionError(f"model {model} version {version} has no {name}") from None

    def _read_manifest(self, model: str, version: int) -> Manifest:
        return msgspec.json.decode(self.file(model, version, MANIFEST), type=Manifest)

    def _folder(self, model: str, version: int) -> Path:
        folder = f"{self._root}/{model}/{version}"
        if version > 0 and NAME_RULE.fullmatch(model) and os.path.isdir(folder):  # noqa: PTH112 - a path may be too long
            if is_deleted(folder):
                raise gone_version(model, version)
            return Path(folder)
        latest = self.versions(model)[-1]
        raise UnknownVersionError(f"model {model} has no version {version}; its latest is {latest}")

    def _unknown_model(self, model: str) -> UnknownModelError:
        names = self.models()
        finding = Finding("/model", "unknown_model", f"no model {model[:80]!r}")
        named = unknown_name(finding, model, names)
        if named.nearest is not None:
            return UnknownModelError(named.detail, (named,))
        return UnknownModelError(
            f"{finding.detail}; " + (f"there are {list_names(names)}" if names else "none was pushed yet")
        )


def _numbers(home: Path) -> list[int]:
    return [int(entry.name) for entry in home.iterdir() if _VERSION.fullmatch(entry.name)] if home.is_dir() else []


def _remaining(home: Path) -> Iterator[int]:
    """The versions that are not deleted, in any order."""
    return (number for number in _numbers(home) if not is_deleted(f"{home}/{number}"))


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
