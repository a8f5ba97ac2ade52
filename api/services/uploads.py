"""Files that only a job will know of: they stay if it was accepted, and go if it was not. Names no framework."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from queuecast.domain.errors import UnavailableError
from queuecast.ports.files import FileStore, StoredFile


@contextmanager
def discard_unless_accepted(files: FileStore) -> Iterator[list[StoredFile]]:
    """Gives a list for what is kept meanwhile, which is deleted again when anything is raised.

    Where Redis did not answer, the job may be there: then it stays.
    """
    kept: list[StoredFile] = []
    try:
        yield kept
    except Exception as error:
        if type(error) is not UnavailableError:
            drop(files, kept)
        raise


def drop(files: FileStore, kept: Iterable[StoredFile]) -> None:
    for stored in kept:
        files.delete(stored.id)
