"""A disk without room is an error that is retried; any other error of a disk is not."""

import errno
import os

import pytest

from queuecast.domain.errors import UnavailableError
from worker.file_writing import disk_full_as_unavailable


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_for_a_batch_is_retried(number: int) -> None:
    with (
        pytest.raises(UnavailableError, match="no room left for the job's files") as caught,
        disk_full_as_unavailable(),
    ):
        raise OSError(number, os.strerror(number))

    assert caught.value.code == "disk_full"


def test_another_error_of_the_disk_is_raised_as_it_is() -> None:
    with pytest.raises(OSError, match="Input/output error"), disk_full_as_unavailable():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
