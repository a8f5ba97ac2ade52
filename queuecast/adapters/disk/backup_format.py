"""A backup as a file of JSON lines: a header, a record for each key, and a trailer with a checksum.

The file is written under a temporary name and renamed when it is complete and on the disk.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from queuecast.adapters.backup_records import Record
from queuecast.disk_writes import sync_folder
from queuecast.domain.errors import DamagedFileError

FORMAT = "queuecast-backup"
VERSION = 1


class Header(msgspec.Struct):
    format: str
    version: int
    at: float


class Trailer(msgspec.Struct):
    """records: the number of lines between the header and this one. sha256: of all lines before this one."""

    records: int
    counts: dict[str, int]
    sha256: str


_encoder = msgspec.json.Encoder()
_record = msgspec.json.Decoder(Record)


def write_backup(path: Path, at: float, records: Iterable[Record], counts: dict[str, int]) -> Trailer:
    """Replaces `path` once all is written. counts: read after the last record, so the iterator may update it."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # readable by its owner only
    try:
        with os.fdopen(descriptor, "wb") as file:
            digest, count = hashlib.sha256(), 0
            header = _encoder.encode(Header(FORMAT, VERSION, at)) + b"\n"
            digest.update(header)
            file.write(header)
            for record in records:
                line = _encoder.encode(record) + b"\n"
                digest.update(line)
                file.write(line)
                count += 1
            trailer = Trailer(count, dict(counts), digest.hexdigest())
            file.write(_encoder.encode(trailer) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(draft).rename(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return trailer


def checked_backup(path: Path) -> tuple[Header, Trailer]:
    """Reads the whole file and checks its checksum. Raises DamagedFileError, and OSError for an unreadable file."""
    digest, count, last = hashlib.sha256(), -2, b""
    with path.open("rb") as file:
        first = file.readline(4096)
        header = _header(path, first)
        file.seek(0)
        for line in file:
            digest.update(last)
            last = line
            count += 1
    try:
        trailer = msgspec.json.decode(last, type=Trailer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise DamagedFileError(f"{path} has no last line with a checksum: the backup was cut short") from None
    if trailer.sha256 != digest.hexdigest() or trailer.records != count or not last.endswith(b"\n"):
        raise DamagedFileError(f"{path} is damaged: its last line describes other content ({trailer.records} records)")
    return header, trailer


def backup_records(path: Path) -> Iterator[Record]:
    """The records of a file that `checked_backup` has checked."""
    with path.open("rb") as file:
        file.readline()
        last = file.readline()
        for line in file:
            yield _record.decode(last)
            last = line


def _header(path: Path, line: bytes) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise DamagedFileError(f"{path} is not a backup: its first line does not say so") from None
    if header.format != FORMAT or header.version != VERSION:
        raise DamagedFileError(f"{path} is {header.format} {header.version}, expected {FORMAT} {VERSION}")
    return header
