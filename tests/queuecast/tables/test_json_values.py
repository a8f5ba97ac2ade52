"""Parsing the rows that msgspec refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queuecast.tables.json_values import parse_items_leniently

ITEMS = st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), max_size=4)


@given(items=ITEMS, indent=st.sampled_from([None, 2]))
def test_the_items_of_a_list_are_those_of_the_whole_list(items: list[Any], indent: int | None) -> None:
    text = json.dumps(items, indent=indent)

    assert list(parse_items_leniently(f" {text}\n")) == items


@pytest.mark.parametrize("text", ["", "{}", "1", "[1", "[1 2]", "[1,]"])
def test_text_that_is_no_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(parse_items_leniently(text))


def test_a_number_that_is_too_long_to_hold_becomes_infinite() -> None:
    assert list(parse_items_leniently(f"[{'9' * 5000}]")) == [math.inf]


def test_an_item_is_parsed_when_it_is_asked_for() -> None:
    items = parse_items_leniently("[1, oops]")

    assert next(items) == 1
    with pytest.raises(ValueError, match="Expecting value"):
        next(items)
