"""Opens tables for an upload, with their media types. A table is never held in memory as a whole."""

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

from queuecast.client.row_formats.json_rows import json_lines
from queuecast.client.row_formats.polars_frames import is_polars, write_parquet
from queuecast.client.row_formats.whole_rows import listed_rows
from queuecast.tables.column_labels import have_text_names, text_names
from queuecast.tables.plain_values import plain_dtypes

CSV, NDJSON, PARQUET = "text/csv", "application/x-ndjson", "application/vnd.apache.parquet"
MEDIA_TYPES = {".csv": CSV, ".ndjson": NDJSON, ".jsonl": NDJSON, ".parquet": PARQUET}
OUTPUT_FORMATS = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".parquet": "parquet"}
PARQUET_START = b"PAR1"

ProgressCallback = Callable[[int, int], object]
"""Called with the bytes that are done and the total."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """An open file at its start. Its length is known, because the gateway requires a Content-Length."""

    content: BufferedReader | BufferedRandom
    media_type: str
    name: str


@contextmanager
def open_table(source: Any) -> Iterator[TableFile]:
    """Opens the path of a CSV, NDJSON or Parquet file, `-` for standard input, a DataFrame, a 2-D array, or texts.

    A DataFrame becomes Parquet: in CSV, the words "NA", "None" and "" would become missing values.
    Raises ValueError for another kind of file and for a column that Parquet cannot hold, ImportError for a DataFrame
    of pandas without pyarrow, and TypeError for another kind of object.
    """
    if is_polars(source):
        with TemporaryFile() as content:
            write_parquet(source, content)
            content.seek(0)
            yield TableFile(content, PARQUET, "frame.parquet")
    elif hasattr(source, "to_csv"):
        with TemporaryFile() as content:
            _write_parquet(source if hasattr(source, "to_parquet") else source.to_frame(), content)
            content.seek(0)
            yield TableFile(content, PARQUET, "frame.parquet")
    elif hasattr(source, "ndim") or _are_rows(source):
        with TemporaryFile() as content:
            content.writelines(json_lines(source))
            content.seek(0)
            yield TableFile(content, NDJSON, "array.ndjson")
    elif not isinstance(source, str | PathLike):
        raise TypeError(
            f"source is a {type(source).__name__}, expected a file's path, a DataFrame, a 2-D array or a list of texts"
        )
    elif str(source) == "-":
        with TemporaryFile() as content:  # the length must be known before the first byte is sent
            copyfileobj(sys.stdin.buffer, content)
            yield _standard_input(content)
    else:
        path = Path(source)
        kind = media_type_of(path)
        with path.open("rb") as content:
            yield TableFile(content, kind, path.name)


def _are_rows(source: Any) -> bool:
    return not isinstance(source, str | PathLike) and listed_rows(source) is not None


def require_sendable(frame: Any) -> None:
    """Raises ValueError for a DataFrame with a column that Parquet cannot hold."""
    with open_table(frame):
        pass


def media_type_of(path: Path) -> str:
    """The media type for the file's suffix. Raises ValueError for a suffix that the gateway does not read."""
    kind = MEDIA_TYPES.get(path.suffix.lower())
    if kind is None:
        hint = "; write a JSON list as NDJSON, one object per line" if path.suffix.lower() == ".json" else ""
        raise ValueError(f"{path} cannot be uploaded as a table, expected {_listed(MEDIA_TYPES)}{hint}")
    return kind


def output_format_of(path: Path) -> str:
    """The format for the file's suffix. Raises ValueError for a suffix that no format has."""
    output_format = OUTPUT_FORMATS.get(path.suffix.lower())
    if output_format is None:
        raise ValueError(f"{path} names no output format, expected a name that ends in {_listed(OUTPUT_FORMATS)}")
    return output_format


class ProgressFile:
    """A file that reports how much of it has been read."""

    def __init__(self, file: IO[bytes], size_bytes: int, on_read: ProgressCallback) -> None:
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


def _write_parquet(frame: Any, content: IO[bytes]) -> None:
    with arrow_writing():
        write_arrow(arrow_table(frame), content)


@contextmanager
def arrow_writing() -> Iterator[Any]:
    """pyarrow, whose errors become a ValueError. Raises ImportError without it."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - only a DataFrame needs it
    except ImportError as error:
        raise ImportError("a DataFrame is sent as Parquet, which needs pyarrow: pip install pyarrow") from error
    try:
        yield pa
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"the DataFrame cannot be written as Parquet: {'; '.join(map(str, error.args))}. Every column needs values "
            "of one type: convert the column, or leave it out"
        ) from error


def arrow_table(frame: Any) -> Any:
    """frame: of pandas. Columns whose names are not text get their texts."""
    import pyarrow as pa  # noqa: PLC0415

    frame = frame if have_text_names(frame.columns) else frame.set_axis(text_names(frame.columns), axis=1)
    plain = plain_dtypes(frame)
    return pa.Table.from_pandas(frame.astype(plain) if plain else frame, preserve_index=False)


def write_arrow(table: Any, content: IO[bytes]) -> None:
    import pyarrow.parquet  # noqa: PLC0415

    pyarrow.parquet.write_table(table, content)


def _standard_input(content: BufferedRandom) -> TableFile:
    """Recognizes the media type by the first bytes, because a pipe has no file name."""
    content.seek(0)
    start = content.read(256)
    content.seek(0)
    if start.startswith(PARQUET_START):
        return TableFile(content, PARQUET, "stdin.parquet")
    first = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first == b"[" and b"{" in start:
        raise ValueError("standard input is a JSON list, expected CSV, Parquet, or one JSON object per line")
    return TableFile(content, NDJSON, "stdin.ndjson") if first in (b"{", b"[") else TableFile(content, CSV, "stdin.csv")


def _listed(suffixes: dict[str, str]) -> str:
    *first, last = suffixes
    return f"{', '.join(first)} or {last}"
