"""Parses the text cells of a column into values of its type.

`queuecast.tables.cells` has the rules. pyarrow parses a whole column at once where it follows the same rules; Python
parses the few remaining cells one by one.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from queuecast.domain.columns.whole_numbers import EXACT_FLOAT
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType
from queuecast.tables.cells import (
    BOOLEAN_WORDS,
    MISSING_WORDS,
    parse_boolean,
    parse_integer,
    parse_number,
    words_for_missing,
)
from worker.models.columns.typed_columns import fitting_values

_USUAL_SPELLINGS = {
    spelling: value for word, value in BOOLEAN_WORDS.items() for spelling in (word, word.capitalize(), word.upper())
}
_SPELLINGS, _BOOLEANS = pa.array(_USUAL_SPELLINGS.keys()), pa.array(_USUAL_SPELLINGS.values())
_NUMBER_RULE = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def parse_column(column: Column, text: Any) -> tuple[Any, Any]:
    """`parse_cells` for a column of the signature, which may know words that look like missing values."""
    if column.type is ColumnType.STRING:
        return read_words(text, column.known_words, may_be_missing=column.nullable), None
    if column.texts is not None:
        return parse_texts(column, null_missing_words(text))
    return parse_cells(column.type, text)


def parse_texts(column: Column, text: Any) -> tuple[Any, Any]:
    """The cells of a column of dates, times, durations or decimals, each distinct one read once."""
    encoded = text.dictionary_encode()
    values = fitting_values(column, encoded.dictionary.to_pylist())[0].take(encoded.indices)
    is_wrong = values.is_null().to_numpy(zero_copy_only=False) & _is_valid(text)
    return values, is_wrong if is_wrong.any() else None


def parse_cells(kind: ColumnType, text: Any) -> tuple[Any, Any]:
    """kind: number, integer or boolean. text: a string array, null where empty.

    Returns the values, null where missing or wrong, and a mask of the cells of another type, or None without such a
    cell.
    """
    if kind is ColumnType.BOOLEAN:
        return _booleans(text)
    fast = _fast_numbers if kind is ColumnType.NUMBER else _fast_integers
    values = fast(text)
    if values is not None:
        return values, None
    text = null_missing_words(text)
    values = fast(text)
    if values is not None:
        return values, None
    return _numbers(text) if kind is ColumnType.NUMBER else _integers(text)


def read_words(text: Any, known_words: Collection[object], *, may_be_missing: bool) -> Any:
    """The cells of a column of words, null where a word means a missing value."""
    words = words_for_missing(known_words, may_be_missing=may_be_missing)
    return null_missing_words(text, words) if words else text


def null_missing_words(text: Any, words: Collection[str] = MISSING_WORDS) -> Any:
    is_word = pc.is_in(text, value_set=pa.array(words, text.type))
    return pc.if_else(is_word, None, text) if pc.any(is_word).as_py() else text


def _fast_numbers(text: Any) -> Any:
    try:
        values = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    # pyarrow also reads "inf", any spelling of "nan", and 1e400 as infinity.
    return values if pc.all(pc.is_finite(values)).as_py() is not False else None


def _fast_integers(text: Any) -> Any:
    if _has_hexadecimal(text):
        return None
    try:
        return pc.cast(text, pa.int64())
    except pa.ArrowInvalid:
        return None


def _has_hexadecimal(text: Any) -> bool:
    """pyarrow reads 0x1F as 31; Python's `int` and pandas do not."""
    buffer = text.buffers()[2]
    characters = b"" if buffer is None else buffer.to_pybytes()  # a regex over the cells takes five times as long
    return b"x" in characters or b"X" in characters


def _numbers(text: Any) -> tuple[Any, Any]:
    is_plain = pc.fill_null(pc.match_substring_regex(text, _NUMBER_RULE), fill_value=False)
    plain = pc.cast(pc.if_else(is_plain, text, None), pa.float64())
    values, is_set = _filled(plain)
    is_set &= np.isfinite(values)
    unparsed = np.flatnonzero(~is_set & _is_valid(text))
    for at, cell in zip(unparsed.tolist(), text.take(pa.array(unparsed)).to_pylist(), strict=True):
        number = parse_number(cell)
        if number is not None:
            values[at], is_set[at] = number, True
    return pa.array(values, mask=~is_set), ~is_set & _is_valid(text)


def _integers(text: Any) -> tuple[Any, Any]:
    """Integers may be written with a decimal point, as pandas writes an integer column with missing values."""
    numbers, _ = _numbers(text)
    floats, is_number = _filled(numbers)
    is_set = is_number & (floats == np.floor(floats)) & (np.abs(floats) < EXACT_FLOAT)
    values = np.where(is_set, floats, 0.0).astype("int64")
    unparsed = np.flatnonzero(~is_set & _is_valid(text))
    for at, cell in zip(unparsed.tolist(), text.take(pa.array(unparsed)).to_pylist(), strict=True):
        integer = parse_integer(cell)
        if integer is not None and INT64_MIN <= integer <= INT64_MAX:
            values[at], is_set[at] = integer, True
    return pa.array(values, mask=~is_set), ~is_set & _is_valid(text)


def _booleans(text: Any) -> tuple[Any, Any]:
    values = _BOOLEANS.take(pc.index_in(text, value_set=_SPELLINGS))
    if values.null_count == text.null_count:
        return values, None
    text = null_missing_words(text)
    booleans, is_set = _filled(values)
    unparsed = np.flatnonzero(~is_set & _is_valid(text))
    for at, cell in zip(unparsed.tolist(), text.take(pa.array(unparsed)).to_pylist(), strict=True):
        value = parse_boolean(cell)
        if value is not None:
            booleans[at], is_set[at] = value, True
    return pa.array(booleans, mask=~is_set), ~is_set & _is_valid(text)


def _filled(values: Any) -> tuple[Any, Any]:
    """A writable numpy array with zeros for nulls, and a mask of the values that are not null."""
    filled = pc.fill_null(values, False if pa.types.is_boolean(values.type) else 0)
    return filled.to_numpy(zero_copy_only=False).copy(), _is_valid(values)


def _is_valid(values: Any) -> Any:
    return values.is_valid().to_numpy(zero_copy_only=False).copy()
