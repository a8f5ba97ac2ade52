"""Stores rows that came in the body of a batch request as a file. It has the batch's id and is deleted with the batch.

A retry gets a copy, so either batch can be deleted without taking the rows of the other.
"""

import shutil
from contextlib import suppress

import msgspec

from queuecast.domain.errors import UnknownFileError
from queuecast.domain.work import rows_file_id
from queuecast.ports.files import FileStore, StoredFile

MEDIA_TYPE = "application/x-ndjson"


def store_rows(files: FileStore, rows: bytes) -> StoredFile:
    """rows: a JSON list. The file has one row a line."""
    incoming = files.receive()
    try:
        for row in msgspec.json.decode(rows, type=list[msgspec.Raw]):
            # A line break in JSON is always whitespace: inside a string it is escaped.
            incoming.stream.write(bytes(row).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
        return incoming.keep("inputs.ndjson", MEDIA_TYPE)
    except BaseException:
        incoming.drop()
        raise


def copy_rows(files: FileStore, batch_id: str) -> StoredFile | None:
    """None if the batch has no such file, or no longer has it."""
    incoming = None
    try:
        original = files.stat(rows_file_id(batch_id))
        incoming = files.receive()
        with files.path(original.id).open("rb") as file:
            shutil.copyfileobj(file, incoming.stream)
        return incoming.keep(original.name, original.media_type)
    except (UnknownFileError, FileNotFoundError):  # deleted during the copy
        return None
    finally:
        if incoming is not None:
            incoming.drop()


def delete_rows(files: FileStore, batch_id: str) -> None:
    with suppress(UnknownFileError):
        files.delete(rows_file_id(batch_id))
