"""A batch's result and its bad rows on their way from the gateway: streamed, resumed, checked."""

import hashlib
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO

import httpx2
import msgspec

from queuecast.client.transport import Body, Transport
from queuecast.client.uploads import Watcher

VAIN_TRIES = 5  # connections in a row that brought nothing


def download(calls: Transport, job: Body, to: Path, on_progress: Watcher | None = None) -> Path:
    """Writes the result of a succeeded batch to `to`, at once when it is whole, and returns it.

    What arrived before a connection broke, or before the caller was stopped, is kept beside it and not asked for
    again. Raises ValueError when size or sha256 are not those of the job, or the job has no file.
    """
    about = (job.get("result") or {}).get("file")
    if about is None:
        raise ValueError(f"{job['id']} is a {job['type']} and has no result file; a batch has one")
    size_bytes, tell = int(about["size_bytes"]), on_progress or _nobody
    partial = to.with_name(f"{to.name}.{job['id']}.part")
    with partial.open("ab+") as file:
        _fill(calls, f"/v1/jobs/{job['id']}/result", file, size_bytes, tell)
        file.seek(0)
        found, found_bytes = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        file.flush()
        os.fsync(file.fileno())
    if (found, found_bytes) != (about["sha256"], size_bytes):
        partial.unlink()
        raise ValueError(
            f"what arrived of {job['id']} has {found_bytes} bytes and sha256 {found}, expected {size_bytes} and "
            f"{about['sha256']}; nothing was written"
        )
    partial.replace(to)
    return to


def read_errors(calls: Transport, job_id: str) -> Iterator[Body]:
    """The bad rows of a batch: `row`, `column`, `code` and `detail` each, as they arrive."""
    return (msgspec.json.decode(line, type=Body) for line in _error_lines(calls, job_id))


def write_errors(calls: Transport, job_id: str, to: Path) -> int:
    """Writes the bad rows as NDJSON, at once when they are all there, and returns how many there are."""
    partial, count = to.with_name(f"{to.name}.{job_id}.part"), 0
    try:
        with partial.open("wb") as file:
            for count, line in enumerate(_error_lines(calls, job_id), start=1):  # noqa: B007 - the last one counts
                file.write(line + b"\n")
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _error_lines(calls: Transport, job_id: str) -> Iterator[bytes]:
    """Cut at newlines: httpx2's `iter_lines` also cuts at U+2028 and its like, which JSON may hold as they are."""
    path = f"/v1/jobs/{job_id}/errors"
    begun = b""
    try:
        with calls.stream(path) as answer:
            for piece in answer.iter_bytes():
                *lines, begun = (begun + piece).split(b"\n")
                yield from filter(None, lines)
    except httpx2.TransportError as error:
        raise calls.unreachable("GET", path, error) from None
    if begun:
        yield begun


def _fill(calls: Transport, path: str, file: IO[bytes], size_bytes: int, tell: Watcher) -> None:
    """Appends to `file` what it lacks. Every connection that brings something is followed by another."""
    vain = 0
    while (before := file.seek(0, os.SEEK_END)) < size_bytes:
        tell(before, size_bytes)
        try:
            _append(calls, path, file, size_bytes, tell)
        except httpx2.TransportError as error:
            vain = 0 if file.tell() > before else vain + 1
            if vain == VAIN_TRIES:
                raise calls.unreachable("GET", path, error) from None
        else:
            return


def _append(calls: Transport, path: str, file: IO[bytes], size_bytes: int, tell: Watcher) -> None:
    done = file.tell()
    # A proxy that compressed it on the way would count other bytes than we do.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with calls.stream(path, headers) as answer:
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)  # all of it comes, whatever was asked for
        for piece in answer.iter_raw():  # as it arrives: collected in larger pieces, a break would lose some
            file.write(piece)
            tell(file.tell(), size_bytes)


def _nobody(_done: int, _total: int) -> None:
    pass
