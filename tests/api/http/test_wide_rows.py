"""Rows of a wide table are checked in time proportional to their columns, whatever the order of their keys."""

import json
from typing import Any

import pytest

from api.http.row_decoding import _decoder_for, require_rows
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method

N_COLUMNS = 300
NAMES = [f"c{at}" for at in range(N_COLUMNS)]
SIGNATURE = Signature(
    Layout.FRAME,
    tuple(Column(name, ColumnType.NUMBER, nullable=name == "c7", dtype="float64") for name in NAMES),
    (Method.PREDICT,),
)
ROW: dict[str, Any] = dict.fromkeys(sorted(NAMES), 1.5)


def text_of(*rows: Any) -> bytes:
    return json.dumps(rows).encode()


def test_the_decoder_has_its_fields_in_the_order_of_the_first_row() -> None:
    decoder, _ = _decoder_for(SIGNATURE, text_of(ROW))

    (row,) = decoder.decode(text_of(ROW))
    assert list(type(row).__struct_encode_fields__) == sorted(NAMES)


@pytest.mark.parametrize("order", [NAMES, sorted(NAMES), NAMES[::-1]])
def test_rows_are_accepted_in_any_order(order: list[str]) -> None:
    rows = text_of({name: ROW[name] for name in order}, ROW | {"c7": None})

    assert require_rows(SIGNATURE, rows, 10) == (2, rows, None)


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        (ROW | {"c8": None}, "/inputs/1/c8"),
        (ROW | {"more": 1}, "/inputs/1/more"),
        (dict.fromkeys(NAMES[1:], 1), "/inputs/1/c0"),
        ([], "/inputs/1"),
    ],
)
def test_a_wrong_row_is_refused_with_its_pointer(row: Any, pointer: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        require_rows(SIGNATURE, text_of(ROW, row), 10)

    assert refused.value.findings[0].pointer == pointer


@pytest.mark.parametrize("first", [{"c0": 1}, 3, [], None])
def test_a_first_row_that_is_no_row_is_refused(first: Any) -> None:
    with pytest.raises(InvalidInputError):
        require_rows(SIGNATURE, text_of(first, ROW), 10)
