"""Tables on their way to the gateway: which kind of file something is, and its bytes, never whole in memory."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from os import PathLike
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Any

from queuecast.client.rows import json_lines

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
MEDIA_TYPES = {".csv": CSV, ".ndjson": NDJSON, ".jsonl": NDJSON, ".parquet": PARQUET}
OUTPUT_FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".parquet": "parquet"}
PARQUET_START = b"PAR1"

Watcher = Callable[[int, int], object]
"""Called with the bytes that are done and all that there are."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """An open file, at its start and of known length, which the gateway demands."""

    content: BufferedReader | BufferedRandom
    media_type: str
    name: str


@contextmanager
def opened_table(source: Any, *, keeps_types: bool = False) -> Iterator[TableFile]:
    """The path of a CSV, NDJSON or Parquet file, `-` for standard input, a DataFrame, or a 2-D array.

    keeps_types: a DataFrame goes as Parquet where it can, which tells an empty string from a missing one; CSV does
    not, but is read by every version of the gateway. Raises ValueError for another kind of file, TypeError for no file.
    """
    if hasattr(source, "to_csv"):
        with TemporaryFile() as content:
            kind, suffix = (
                (CSV, "csv") if not keeps_types or not _wrote_parquet(source, content) else (PARQUET, "parquet")
            )
            if kind == CSV:
                source.to_csv(content, index=False)
            content.seek(0)
            yield TableFile(content, kind, f"frame.{suffix}")
    elif hasattr(source, "ndim"):
        with TemporaryFile() as content:
            content.writelines(json_lines(source))
            content.seek(0)
            yield TableFile(content, NDJSON, "array.ndjson")
    elif not isinstance(source, str | PathLike):
        raise TypeError(f"source is a {type(source).__name__}, expected a file's path, a DataFrame or a 2-D array")
    elif str(source) == "-":
        with TemporaryFile() as content:  # the length has to be known before the first byte is sent
            copyfileobj(sys.stdin.buffer, content)
            yield _recognized(content)
    else:
        path = Path(source)
        kind = media_type_of(path)
        with path.open("rb") as content:
            yield TableFile(content, kind, path.name)


def media_type_of(path: Path) -> str:
    """By the name's end. Raises ValueError for a file that holds no table that the gateway reads."""
    kind = MEDIA_TYPES.get(path.suffix.lower())
    if kind is None:
        hint = "; a JSON list becomes NDJSON with one object a line" if path.suffix.lower() == ".json" else ""
        raise ValueError(f"{path} is no table that can be uploaded, expected {_listed(MEDIA_TYPES)}{hint}")
    return kind


def output_format_of(path: Path) -> str:
    """Raises ValueError where the name does not say what to write."""
    found = OUTPUT_FORMATS.get(path.suffix.lower())
    if found is None:
        raise ValueError(f"{path} does not say what to write, expected a name in {_listed(OUTPUT_FORMATS)}")
    return found


class WatchedFile:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], size_bytes: int, on_read: Watcher) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._on_read = on_read

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._on_read(self._file.tell(), self._size_bytes)
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(64 * 1024), b"")


def _wrote_parquet(frame: Any, content: IO[bytes]) -> bool:
    try:
        frame.to_parquet(content, index=False)
    except (ImportError, ValueError, TypeError, NotImplementedError):  # no pyarrow, or a column that it cannot write
        content.seek(0)
        content.truncate()
        return False
    return True


def _recognized(content: BufferedRandom) -> TableFile:
    """By the first bytes: what comes from a pipe has no name."""
    content.seek(0)
    start = content.read(256)
    content.seek(0)
    if start.startswith(PARQUET_START):
        return TableFile(content, PARQUET, "stdin.parquet")
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"[" and b"{" in start:
        raise ValueError("standard input is a JSON list, expected CSV, Parquet, or one JSON object a line")
    return TableFile(content, NDJSON, "stdin.ndjson") if first in (b"{", b"[") else TableFile(content, CSV, "stdin.csv")


def _listed(suffixes: dict[str, str]) -> str:
    *first, last = suffixes
    return f"{', '.join(first)} or {last}"
