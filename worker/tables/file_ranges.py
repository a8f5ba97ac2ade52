"""Reads the bytes of one range of a file, and the lines in them."""

from collections.abc import Iterator
from pathlib import Path

from queuecast.domain.chunking import FileRange


def read_bytes(path: Path, file_range: FileRange) -> bytes:
    with path.open("rb") as file:
        file.seek(file_range.start)
        return file.read(file_range.end - file_range.start)


def numbered_lines(data: bytes, file_range: FileRange) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with the numbers of their rows in the file. data: the bytes of the range."""
    return enumerate((line for line in data.split(b"\n") if line not in (b"", b"\r")), start=file_range.first_row)
