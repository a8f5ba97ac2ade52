"""A pickle is recognized by its first bytes."""

import bz2
import gzip
import lzma
import pickle
import zlib

import pytest

from queuecast.domain.pickles import is_pickle

PICKLE = pickle.dumps({"a": 1}, protocol=2)


@pytest.mark.parametrize(
    "content",
    [
        PICKLE,
        pickle.dumps({}, protocol=5),
        *(zlib.compress(PICKLE, level) for level in (0, 3, 6, 9)),
        *(gzip.compress(PICKLE), bz2.compress(PICKLE), lzma.compress(PICKLE)),
    ],
    ids=["protocol 2", "protocol 5", "zlib 0", "zlib 3", "zlib 6", "zlib 9", "gzip", "bz2", "lzma"],
)
def test_a_pickle_is_recognized_plain_and_as_joblib_compresses_it(content: bytes) -> None:
    assert is_pickle(content[:5])


@pytest.mark.parametrize(
    "start", [b"", b"PK\x03\x04\x14", b"age,s", b"\xfd7z", b"x\x00"], ids=["empty", "zip", "text", "short", "other"]
)
def test_any_other_file_is_no_pickle(start: bytes) -> None:
    assert not is_pickle(start)
