"""Stores rows that came in the body of a batch request as a file. It has the batch's id and is deleted with the batch.

A retry gets a copy, so either batch can be deleted without taking the rows of the other.
"""

import shutil
from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat

import msgspec

from queuecast.domain.errors import UnknownFileError
from queuecast.domain.work import rows_file_id
from queuecast.ports.files import FileStore, StoredFile

MEDIA_TYPE = "application/x-ndjson"

Ids = list[dict[str, msgspec.Raw]]
"""For each row, the id under its name; empty if the row has none."""

_rows_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_cells_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def without_ids(rows: bytes, name: str) -> tuple[bytes, Ids]:
    """The rows without the column `name`, and its values. rows: JSON; if it is not a list, it has no ids."""
    kept: list[bytes] = []
    ids: Ids = []
    try:
        listed = _rows_decoder.decode(rows)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return rows, []
    for row in map(bytes, listed):
        cells: dict[str, msgspec.Raw] = {}
        if row.lstrip().startswith(b"{"):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):  # the check of the rows finds it too
                cells = _cells_decoder.decode(row)
        own = {name: cells.pop(name)} if name in cells else {}
        ids.append(own)
        kept.append(msgspec.json.encode(cells) if own else row)
    return b"[%b]" % b",".join(kept), ids


def store_rows(files: FileStore, rows: bytes, ids: Iterable[dict[str, msgspec.Raw]] = repeat({})) -> StoredFile:
    """rows: a JSON list. ids: of `without_ids`. The file has one row a line."""
    incoming = files.receive()
    try:
        for row, own in zip(_rows_decoder.decode(rows), ids, strict=False):
            text = msgspec.json.encode(_cells_decoder.decode(row) | own) if own else bytes(row)
            # A line break in JSON is always whitespace: inside a string it is escaped.
            incoming.stream.write(text.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n")
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
