"""Many rows are checked in parts: with little memory, and with the same answers as few rows."""

import json
import tracemalloc
from typing import Any

import pytest

from api.http.row_decoding import require_rows
from queuecast.domain.errors import InvalidInputError, MalformedError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method

SIGNATURE = Signature(
    Layout.FRAME,
    (
        Column("age", ColumnType.NUMBER, True, "float64"),
        Column("sibsp", ColumnType.INTEGER, False, "int64"),
        Column("sex", ColumnType.STRING, False, "str"),
    ),
    (Method.PREDICT,),
)
N = 20_000


def rows(**changed: Any) -> list[dict[str, Any]]:
    """changed: the value of the row 10,703 in some columns."""
    found = [{"age": at + 0.5, "sibsp": at, "sex": f"word {at}"} for at in range(N)]
    found[10_703] |= changed
    return found


def test_many_rows_take_little_memory() -> None:
    body = json.dumps(rows()).encode()
    tracemalloc.start()
    try:
        count = require_rows(SIGNATURE, body, N).n_rows
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert count == N
    assert peak < 150 * N  # all rows as objects take 300 bytes each


def test_one_bad_cell_of_many_rows_is_named() -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_rows(SIGNATURE, json.dumps(rows(sibsp=1.5)).encode(), N)

    assert [finding.pointer for finding in refused.value.findings] == ["/inputs/10703/sibsp"]


def test_whole_numbers_of_many_rows_are_made_whole() -> None:
    checked = require_rows(SIGNATURE, json.dumps(rows(sibsp=3.0)).encode(), N)

    assert json.loads(checked.rows)[10_703]["sibsp"] == 3
    assert b"3.0" not in checked.rows


@pytest.mark.parametrize(
    ("ending", "named"), [(b"", "truncated"), (b"]", r"\(byte 1066671\)"), (b'{"age": 1.0', "truncated")]
)
def test_a_fault_behind_many_rows_is_named(ending: bytes, named: str) -> None:
    body = json.dumps(rows()).encode()[:-1] + b", " + ending

    with pytest.raises(MalformedError, match=named):
        require_rows(SIGNATURE, body, N)


def test_too_many_rows_are_refused_with_their_number() -> None:
    with pytest.raises(InvalidInputError, match="20000 rows"):
        require_rows(SIGNATURE, json.dumps(rows()).encode(), 10_000)
