"""No refusal shows the words of the library that decodes JSON."""

import re
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from queuecast.tables.decoding_errors import plain_words

CHECKER_WORDS = re.compile(r"`|\$|Expected|\bgot\b|[<>]=?|\b(str|int|bool|array|regex|Object)\b|enum value")


class Color(Enum):
    RED = "red"


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: Annotated[int, Meta(ge=0, le=9)]
    name: Annotated[str, Meta(min_length=2, max_length=3)] = "ab"
    color: Color = Color.RED
    side: Literal["left", "right"] = "left"
    sizes: Annotated[list[Annotated[float, Meta(gt=0, lt=1)]], Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=lambda: [0.5]
    )
    pair: tuple[int, int] = (0, 0)
    code: Annotated[str, Meta(pattern="^[a-z]+$")] | None = None
    is_open: bool = False
    tags: dict[str, int] = {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("[]", "found a list, expected an object"),
        ("{}", "the field 'x' is missing"),
        ('{"x": 1, "y": 2}', "the field 'y' is unknown"),
        ('{"x": -1}', "/x: expected a whole number of at least 0"),
        ('{"x": 10}', "/x: expected a whole number of at most 9"),
        ('{"x": "1"}', "/x: found a string, expected a whole number"),
        ('{"x": 1, "name": ""}', "/name: expected a string with a length of at least 2"),
        ('{"x": 1, "name": "long"}', "/name: expected a string with a length of at most 3"),
        ('{"x": 1, "color": "blue"}', "/color: 'blue' is not one of the values that are allowed"),
        ('{"x": 1, "side": "up"}', "/side: 'up' is not one of the values that are allowed"),
        ('{"x": 1, "sizes": []}', "/sizes: expected a list with a length of at least 1"),
        ('{"x": 1, "sizes": [0.1, 0.0]}', "/sizes/1: expected a number of more than 0.0"),
        ('{"x": 1, "pair": [1]}', "/pair: expected a list with a length of 2"),
        ('{"x": 1, "pair": [1, null]}', "/pair/1: found null, expected a whole number"),
        ('{"x": 1, "code": "A"}', "/code: expected a string that matches '^[a-z]+$'"),
        ('{"x": 1, "code": 1}', "/code: found a whole number, expected a string or null"),
        ('{"x": 1, "is_open": 1}', "/is_open: found a whole number, expected true or false"),
        ('{"x": 1, "tags": {"a": 0.5}}', "/tags: found a number, expected a whole number"),
    ],
)
def test_a_refusal_is_in_plain_words_behind_a_pointer(body: str, expected: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(body, type=Point)

    said = plain_words(refused.value)
    assert said == expected
    assert not CHECKER_WORDS.search(said.replace("'^[a-z]+$'", ""))


@pytest.mark.parametrize("body", [b"", b"{", b'{"x": nan}', b"{} {}"])
def test_bytes_that_are_not_json_keep_their_reason(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError) as refused:
        msgspec.json.decode(body, type=Any)

    assert plain_words(refused.value) == str(refused.value)
