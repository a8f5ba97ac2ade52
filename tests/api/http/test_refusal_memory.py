"""A refused body of 8 MiB takes little more memory than its bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import sys
import msgspec
from api.http.decoding import decode_json
from api.http.row_decoding import require_rows
from api.schemas.requests import BatchRequest, PredictionRequest, TrainingRequest
from queuecast.domain.errors import QueuecastError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method

SIZE = 8 * 2**20
SIGNATURE = Signature(
    Layout.FRAME, (Column("sibsp", ColumnType.INTEGER, False, "int64"),), (Method.PREDICT,)
)
WIDE = Signature(
    Layout.ARRAY, tuple(Column(f"x{at}", ColumnType.INTEGER, False, "int64") for at in range(1000)), (Method.PREDICT,)
)


def refuse(name, size):
    objects = b"[" + b"{}," * (size // 3) + b"{}]"
    text = b"a" * size
    try:
        match name:
            case "a string that is cut off":
                decode_json(TrainingRequest, b'{"file_id": "' + text)
            case "escapes that are cut off":
                decode_json(TrainingRequest, b'{"file_id": "' + b"\\\\" * size)
            case "a word after a string":
                decode_json(TrainingRequest, b'{"file_id": "' + text + b'", "timeout_s": NaN}')
            case "rows next to a wrong field":
                decode_json(PredictionRequest, b'{"inputs": ' + objects + b', "method": "fit"}')
            case "an unknown field":
                decode_json(BatchRequest, b'{"rows": ' + objects + b"}")
            case "objects for a name":
                decode_json(TrainingRequest, b'{"file_id": "f", "target": ' + objects + b"}")
            case "a list of rows":
                decode_json(PredictionRequest, objects)
            case "rows that do not fit":
                require_rows(SIGNATURE, objects, 10)
            case "every cell wrong":
                row = b"[" + b'"x",' * 999 + b'"x"]'
                require_rows(WIDE, b"[" + (row + b",") * (size // len(row)) + row + b"]", 10**9)
            case "rows in an object":
                require_rows(SIGNATURE, b'{"rows": ' + objects + b"}", 10)
    except QueuecastError as error:
        return error.detail
    raise AssertionError(name)


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024


name = sys.argv[1]
refuse(name, 3000)
before = peak()
detail = refuse(name, SIZE)
print((peak() - before) / SIZE)
print(detail[:200])
"""
DETAILS = {
    "a string that is cut off": "the body is not JSON in UTF-8",
    "escapes that are cut off": "the body is not JSON in UTF-8",
    "a word after a string": "the body has NaN near byte",
    "rows next to a wrong field": "found 'fit', expected one of predict",
    "an unknown field": "found an unknown field 'rows', expected only",
    "objects for a name": "/target/0: found an object, expected a string",
    "a list of rows": "found a list, expected an object",
    "rows that do not fit": "/inputs/0/sibsp: column 'sibsp' is missing",
    "every cell wrong": '/inputs/0/0: found string "x", expected a whole number',
    "rows in an object": "found an object, expected a list of rows",
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", DETAILS)
def test_a_refusal_takes_a_few_times_the_size_of_the_body_in_memory(repository: Path, name: str) -> None:
    """The body itself, and the pieces from which the test builds it, are about four times its size."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, name], cwd=repository, capture_output=True, text=True, timeout=60, check=True
    )

    growth, detail = ended.stdout.splitlines()
    assert detail.startswith(DETAILS[name])
    assert float(growth) < 10
