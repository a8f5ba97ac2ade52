"""A first look at a pushed model file, before a worker loads it."""

from pathlib import Path

from queuecast.domain.errors import UnsupportedMediaError
from queuecast.domain.pickles import is_pickle

_CONVERT = (
    'if you trust it, convert it: python -c "import joblib, skops.io as sio; '
    "sio.dump(joblib.load('model.joblib'), 'model.skops')\""
)


def require_skops(path: Path) -> None:
    """Raises UnsupportedMediaError unless the file looks like one of skops: a zip archive with a schema.json.

    The archive is not opened, because a crafted one can unpack, or list, to more than the gateway's memory.
    """
    list_bytes = 4 * 2**20  # the list of the archive's entries is at its end: 50 bytes per entry, and its name
    end_record_bytes = 22 + 2**16  # the archive's last record with its longest comment (APPNOTE.TXT 4.3.16)
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - list_bytes))
        end = file.read()
    if is_pickle(start):
        raise UnsupportedMediaError(
            f"the model file is a pickle or a compressed joblib file, which can run any code when loaded; {_CONVERT}",
            code="pickle_refused",
        )
    is_whole = start.startswith(b"PK\x03\x04") and b"PK\x05\x06" in end[-end_record_bytes:]
    if not is_whole or b"schema.json" not in end:
        raise UnsupportedMediaError(
            "the model file is not a complete skops file; write it with skops.io.dump", code="not_skops"
        )
