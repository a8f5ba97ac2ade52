"""Downloads a batch's result and its bad rows: streamed, resumed after a broken connection, and checked."""

import hashlib
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO

import httpx2
import msgspec

from queuecast.client.row_formats.table_files import ProgressCallback
from queuecast.client.transport import Body, Transport


def download(transport: Transport, job: Body, to: Path, on_progress: ProgressCallback | None = None) -> Path:
    """Writes the result of a succeeded batch to `to` once it is complete, and returns `to`.

    Bytes that have arrived stay in a `.part` file if the connection breaks or the caller stops, so the next call
    resumes. Raises ValueError if size or sha256 differ from the job's, or if the job has no file.
    """
    description = (job.get("result") or {}).get("file")
    if description is None:
        raise ValueError(f"{job['id']} is a {job['type']} and has no result file; only a batch has one")
    size_bytes, report = int(description["size_bytes"]), on_progress or _ignore
    partial = to.with_name(f"{to.name}.{job['id']}.part")
    with partial.open("ab+") as file:
        _complete(transport, f"/v1/jobs/{job['id']}/result", file, size_bytes, report)
        file.seek(0)
        found, found_bytes = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        file.flush()
        os.fsync(file.fileno())
    if (found, found_bytes) != (description["sha256"], size_bytes):
        partial.unlink()
        raise ValueError(
            f"the download of {job['id']} has {found_bytes} bytes and sha256 {found}, expected {size_bytes} and "
            f"{description['sha256']}; nothing was written"
        )
    partial.replace(to)
    return to


def read_errors(transport: Transport, job_id: str) -> Iterator[Body]:
    """The bad rows of a batch as they arrive, each with `row`, `column`, `code` and `detail`."""
    return (msgspec.json.decode(line, type=Body) for line in _error_lines(transport, job_id))


def write_errors(transport: Transport, job_id: str, to: Path) -> int:
    """Writes the bad rows to `to` as NDJSON once all have arrived, and returns their number."""
    partial, count = to.with_name(f"{to.name}.{job_id}.part"), 0
    try:
        with partial.open("wb") as file:
            for count, line in enumerate(_error_lines(transport, job_id), start=1):  # noqa: B007 - used after the loop
                file.write(line + b"\n")
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _error_lines(transport: Transport, job_id: str) -> Iterator[bytes]:
    """Splits at newlines only: `iter_lines` of httpx2 also splits at U+2028 and others, which JSON may contain."""
    path = f"/v1/jobs/{job_id}/errors"
    incomplete = b""
    try:
        with transport.stream(path) as response:
            for piece in response.iter_bytes():
                *lines, incomplete = (incomplete + piece).split(b"\n")
                yield from filter(None, lines)
    except httpx2.TransportError as error:
        raise transport.unreachable("GET", path, error) from None
    if incomplete:
        yield incomplete


def _complete(transport: Transport, path: str, file: IO[bytes], size_bytes: int, report: ProgressCallback) -> None:
    """Appends the missing bytes to `file`. Gives up after 5 connections in a row that brought none."""
    fruitless = 0
    while (before := file.seek(0, os.SEEK_END)) < size_bytes:
        report(before, size_bytes)
        try:
            _append(transport, path, file, size_bytes, report)
        except httpx2.TransportError as error:
            fruitless = 0 if file.tell() > before else fruitless + 1
            if fruitless == 5:
                raise transport.unreachable("GET", path, error) from None
        else:
            return


def _append(transport: Transport, path: str, file: IO[bytes], size_bytes: int, report: ProgressCallback) -> None:
    done = file.tell()
    # The range counts bytes of the file itself, so a proxy must not compress them.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with transport.stream(path, headers) as response:
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)  # the gateway sends the whole file
        for piece in response.iter_raw():  # each piece as it arrives: a buffer would be lost with the connection
            file.write(piece)
            report(file.tell(), size_bytes)


def _ignore(_done: int, _total: int) -> None:
    pass
