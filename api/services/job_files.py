"""The files that a request names, and files that only one job will use. Names no framework."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    QueuecastError,
    UnavailableError,
    UnknownFileError,
    UnsupportedMediaError,
)
from queuecast.domain.job import Progress
from queuecast.ports.files import FileStore, StoredFile


@contextmanager
def refusing_file_id() -> Iterator[None]:
    """Turns the error of an unusable file into the error of the request that names it: 422 at `/file_id`, not 404."""
    try:
        yield
    except (UnknownFileError, UnsupportedMediaError) as error:
        raise InvalidInputError(error.detail, (Finding("/file_id", error.code, error.detail),)) from None


@contextmanager
def discard_unless_accepted(files: FileStore) -> Iterator[list[StoredFile]]:
    """Yields a list for the files that the block stores for a job; they are deleted again if the block raises.

    They stay if Redis did not answer, because the job may have been recorded.
    """
    stored_files: list[StoredFile] = []
    try:
        yield stored_files
    except Exception as error:
        if type(error) is not UnavailableError:
            delete_files(files, stored_files)
        raise


def delete_files(files: FileStore, stored_files: Iterable[StoredFile]) -> None:
    for stored in stored_files:
        files.delete(stored.id)


def unread_file(files: FileStore, file_id: str) -> Progress | None:
    """The progress of a batch that waits: a caller sees how large the file is. None if the file is gone."""
    with suppress(QueuecastError):  # the worker says what is wrong with it
        return Progress(0, files.stat(file_id).size_bytes, "bytes")
    return None
