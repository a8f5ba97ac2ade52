"""Explains to a caller why a body or query was refused. Runs only after msgspec has refused it."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from api.http.type_mismatches import has_type, mismatches
from queuecast.domain.errors import Finding, InvalidInputError, MalformedError
from queuecast.tables.decoding_errors import plain_words
from queuecast.tables.json_values import NOT_JSON, parse_leniently

ROWS_HINT = 'rows belong in a list: {"inputs": [{...}]}'
# A word that other formats than JSON take for a number.
_NUMBER_WORD = re.compile(rb"-?\b(?:nan|inf(?:inity)?)\b", re.I)


def body_error(error: msgspec.ValidationError, kind: Any, data: bytes) -> InvalidInputError:
    """kind: the type that the JSON in `data` was to have, a struct."""
    try:
        value = _refused_value(kind, data)
    except (*NOT_JSON, ValueError):  # not JSON either, after the place where msgspec stopped; or too much to parse
        words = plain_words(error)
        return InvalidInputError(words, (Finding("", "invalid", words),))
    return _explained(error, inspect.type_info(kind), value)


def _refused_value(kind: Any, data: bytes) -> Any:
    """The body, in which only the fields that msgspec refuses are parsed; the other fields stay text.

    Parsing everything would take up to thirty times the size of the body in memory. Raises one of NOT_JSON, or
    ValueError for a refused field that is too large to parse.
    """
    first = data.lstrip()[:1]
    if first != b"{":
        msgspec.json.decode(data, type=msgspec.Raw)
        return [] if first == b"[" else parse_leniently(data.decode())
    value: dict[str, Any] = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in value and not _fits(field.type, value[name]):
            text = bytes(value[name])
            if text[:1] in b"[{" and len(text) > 2**16:
                raise ValueError(f"field {name} has {len(text)} bytes")
            value[name] = parse_leniently(text.decode())
    return value


def _fits(kind: Any, text: msgspec.Raw) -> bool:
    try:
        msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        return False
    return True


def query_error(error: msgspec.ValidationError, kind: Any, values: dict[str, str]) -> InvalidInputError:
    """kind: the type that the query's parameters were to have."""
    expected = inspect.type_info(kind)
    fields = expected.fields if isinstance(expected, inspect.StructType) else ()
    numbers = {field.encode_name for field in fields if has_type(field.type, 0)}
    value = {name: _number_in(text) if name in numbers else text for name, text in values.items()}
    return _explained(error, expected, value)


def malformed_body(error: Exception, data: bytes, what: str = "the body") -> MalformedError:
    """For bytes that are not JSON."""
    if not data.strip():
        return MalformedError(f"{what} is empty, expected JSON")
    word = _number_word(error, data)
    if word is not None:
        found = f"{word[0].decode()} near byte {word.start()}"
        return MalformedError(f"{what} has {found}; JSON has no such number, so send null for a missing value")
    return MalformedError(f"{what} is not JSON in UTF-8: {error}")


def _number_word(error: Exception, data: bytes) -> re.Match[bytes] | None:
    """The word at the place where msgspec stopped, unless a string contains it. The bytes before it are JSON."""
    stop = re.search(r"\(byte (\d+)\)$", str(error))
    place = int(stop[1]) if stop else len(data)  # without a place the data was cut off
    word = _NUMBER_WORD.search(data, max(place - 4, 0), place + 12)  # msgspec compares four bytes with `null` at once
    if word is None:
        return None
    quotes = data[: word.start()].replace(rb"\\", b"").replace(rb"\"", b"").count(b'"')
    return word if quotes % 2 == 0 else None


def _explained(error: msgspec.ValidationError, expected: inspect.Type, value: Any) -> InvalidInputError:
    finding = next(mismatches(expected, value, ""), None)
    if finding is None:  # msgspec is stricter than the comparison
        finding = Finding("", "invalid", plain_words(error))
    may_hold_rows = isinstance(expected, inspect.StructType) and "inputs" in {f.encode_name for f in expected.fields}
    has_rows = isinstance(value, dict) and not {"inputs", "file_id"}.isdisjoint(value)
    hint = f"; {ROWS_HINT}" if may_hold_rows and not has_rows and finding.pointer.count("/") < 2 else ""
    return InvalidInputError(finding.detail + hint, (finding,))


def _number_in(text: str) -> int | str:
    """As msgspec reads a query: `1.0` is 1."""
    try:
        return int(text) if len(text) < 400 else text
    except ValueError:
        return int(float(text)) if re.fullmatch(r"-?\d{1,15}\.0+", text) else text
