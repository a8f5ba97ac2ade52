"""Files that only one job will use: kept if the job is accepted, deleted if it is not. Names no framework."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from queuecast.domain.errors import UnavailableError
from queuecast.ports.files import FileStore, StoredFile


@contextmanager
def discard_unless_accepted(files: FileStore) -> Iterator[list[StoredFile]]:
    """Yields a list for the files that the block stores; they are deleted again if the block raises.

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
