"""The audit trail of a model's aliases: `{root}/{model}/aliases.jsonl`, one line for each move, append-only.

A line is the move, then `prev`, the sha256 of the previous line (for the first line: of the model's name), then
`sha256`, the digest of the line up to there. The chain shows lines that were edited, removed, inserted, reordered or
copied from another model. It does not show missing lines at the end (`queuecast admin verify-audit` compares with
Redis for that), and nothing is signed: a forger with write access can compute all hashes again.

Writers lock the file with flock(2). It is never renamed, so all of them lock the same file.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from queuecast.disk_writes import sync_folder
from queuecast.domain.errors import DamagedFileError
from queuecast.domain.model import AliasMove, require_name

FILE = "aliases.jsonl"
_LINE = re.compile(rb'(\{.*,"prev":"([0-9a-f]{64})"),"sha256":"([0-9a-f]{64})"\}')


class AuditFiles:
    def __init__(self, root: Path) -> None:
        self._root = root

    def models(self) -> list[str]:
        return sorted(path.parent.name for path in self._root.glob(f"*/{FILE}"))

    def read(self, model: str) -> list[AliasMove]:
        try:
            return Trail(self._path(model), model).moves
        except FileNotFoundError:
            return []

    @contextmanager
    def locked(self, model: str) -> Iterator["Trail"]:
        path = self._path(model)
        # The lock ends when the descriptor is closed, also when the process is killed.
        descriptor = _descriptor(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Trail(path, model)
        finally:
            os.close(descriptor)

    def _path(self, model: str) -> Path:
        require_name(model, "model")
        return self._root / model / FILE


class Trail:
    """The moves of one file. Reading it checks every line."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        content = path.read_bytes()
        self.moves, self._last_hash = checked_moves(content, model, str(path))
        # A line without an end is from a crash during an append; its move will be exported again.
        self._whole_bytes = content.rfind(b"\n") + 1

    def append(self, moves: list[AliasMove]) -> None:
        lines = b""
        last_hash = self._last_hash
        for move in moves:
            line, last_hash = _line(move, last_hash)
            lines += line
        with self._path.open("r+b") as file:
            file.truncate(self._whole_bytes)
            file.seek(self._whole_bytes)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self.moves += moves
        self._last_hash = last_hash
        self._whole_bytes += len(lines)


def checked_moves(content: bytes, model: str, name: str) -> tuple[list[AliasMove], str]:
    """The moves and the hash of the last line. Raises DamagedFileError for the first line that does not fit.

    Bytes after the end of the last line are ignored: a crash during an append leaves such. name: of the file, for the
    error.
    """
    moves: list[AliasMove] = []
    last_hash = hashlib.sha256(model.encode()).hexdigest()
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        match = _LINE.fullmatch(line)
        if match is None or hashlib.sha256(match[1]).hexdigest() != match[3].decode():
            raise DamagedFileError(f"{name}, line {number}: not as it was written")
        if match[2].decode() != last_hash:
            raise DamagedFileError(f"{name}, line {number}: does not follow the line before: one is missing or moved")
        move = msgspec.json.decode(line, type=AliasMove)
        if move.generation != number:
            raise DamagedFileError(f"{name}, line {number}: has generation {move.generation}, expected {number}")
        moves.append(move)
        last_hash = match[3].decode()
    return moves, last_hash


def _line(move: AliasMove, prev: str) -> tuple[bytes, str]:
    fields: dict[str, Any] = msgspec.to_builtins(move) | {"prev": prev}
    body = msgspec.json.encode(fields)[:-1]
    digest = hashlib.sha256(body).hexdigest()
    return body + f',"sha256":"{digest}"}}\n'.encode(), digest


def _descriptor(path: Path) -> int:
    """Opens the file for locking: read-only if it exists, so that `verify-audit` works on a read-only folder."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        # After a power cut a synced file can still be missing from its folder, unless the folder is synced too.
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
        return descriptor
