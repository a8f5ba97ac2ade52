"""The audit trail of a model's aliases in a file: `{root}/{model}/aliases.jsonl`, a line a move, only ever appended to.

A line is the move, then `prev`, the sha256 of the line before (of the model's name in the first line), then `sha256`,
that of all that stands before it in this line. So a line that was edited, taken out, put in, moved, or that comes from
another model's file is found. Not found: last lines that were cut off at a line's end (compare with Redis, as
`queuecast admin verify-audit` does), and a trail that somebody wrote anew from some line on, hashes and all: nothing
is signed, so it shows accidents and careless hands, not a careful forger who may write to the folder.

Writers take turns by flock(2) on the file. It is never renamed, so all lock the same one.
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
        # Closing the descriptor gives the lock back, and so does the end of the process, whatever ends it.
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
    """The moves of one file, and where the next one goes. Checked from the first line to the last when it is read."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        content = path.read_bytes()
        self.moves, self._last_hash = checked_moves(content, model, str(path))
        # What a crash left of a line has no end; it was never reported as written, so it comes again.
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
    """The moves and the last line's hash. What it proves stands above.

    Bytes after the last line's end are left out: a crash in the middle of an append leaves such. name: for the words of
    DamagedFileError, which says the first line that does not fit.
    """
    moves: list[AliasMove] = []
    last_hash = hashlib.sha256(model.encode()).hexdigest()
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        found = _LINE.fullmatch(line)
        if found is None or hashlib.sha256(found[1]).hexdigest() != found[3].decode():
            raise DamagedFileError(f"{name}, line {number}: not as it was written")
        if found[2].decode() != last_hash:
            raise DamagedFileError(f"{name}, line {number}: does not follow the line before: one is missing or moved")
        move = msgspec.json.decode(line, type=AliasMove)
        if move.generation != number:
            raise DamagedFileError(f"{name}, line {number}: has generation {move.generation}, expected {number}")
        moves.append(move)
        last_hash = found[3].decode()
    return moves, last_hash


def _line(move: AliasMove, prev: str) -> tuple[bytes, str]:
    fields: dict[str, Any] = msgspec.to_builtins(move) | {"prev": prev}
    body = msgspec.json.encode(fields)[:-1]
    digest = hashlib.sha256(body).hexdigest()
    return body + f',"sha256":"{digest}"}}\n'.encode(), digest


def _descriptor(path: Path) -> int:
    """The file opened for its lock: for reading if it is there, so that a folder that is read-only can be looked at."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        # A file is lost in a power cut if its folder does not know it, however well it was synced itself.
        for folder in (path.parent, path.parent.parent):
            opened = os.open(folder, os.O_RDONLY)
            os.fsync(opened)
            os.close(opened)
        return descriptor
