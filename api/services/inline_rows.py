"""The files of batches that were given as rows: each has its batch's id, belongs to it alone, and goes with it.

So a retry has a copy: whichever of the two is deleted first, the other keeps its rows.
"""

import shutil
from contextlib import suppress

import msgspec

from queuecast.domain.errors import UnknownFileError
from queuecast.domain.work import rows_file_id
from queuecast.ports.files import FileStore, StoredFile

MEDIA_TYPE = "application/x-ndjson"


def kept_rows(files: FileStore, rows: bytes) -> StoredFile:
    """rows: a JSON list, which becomes a file with one row a line."""
    incoming = files.receive()
    try:
        for row in msgspec.json.decode(rows, type=list[msgspec.Raw]):
            # A line break in JSON is always between two parts of it: within a string it is escaped.
            incoming.stream.write(bytes(row).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
        return incoming.keep("inputs.ndjson", MEDIA_TYPE)
    except BaseException:
        incoming.drop()
        raise


def copied_rows(files: FileStore, batch_id: str) -> StoredFile | None:
    """None where the batch has no such file, or has none any more."""
    incoming = None
    try:
        known = files.stat(rows_file_id(batch_id))
        incoming = files.receive()
        with files.path(known.id).open("rb") as file:
            shutil.copyfileobj(file, incoming.stream)
        return incoming.keep(known.name, known.media_type)
    except (UnknownFileError, FileNotFoundError):  # deleted while it was copied
        return None
    finally:
        if incoming is not None:
            incoming.drop()


def drop_rows(files: FileStore, batch_id: str) -> None:
    with suppress(UnknownFileError):
        files.delete(rows_file_id(batch_id))
