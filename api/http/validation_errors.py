"""Explains to a caller why a body or query was refused. Runs only after msgspec has refused it."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from api.http.type_mismatches import has_type, mismatches
from queuecast.domain.errors import Finding, InvalidInputError, MalformedError
from queuecast.tables.json_values import parse_leniently

ROWS_HINT = 'rows belong in a list: {"inputs": [{...}]}'
# A string, closed or cut off, or else a word that other formats than JSON take for a number.
_STRING_OR_WORD = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|(?P<word>-?\b(?:nan|inf(?:inity)?)\b)', re.I | re.S)


def body_error(error: msgspec.ValidationError, kind: Any, data: bytes) -> InvalidInputError:
    """kind: the type that the JSON in `data` was to have."""
    try:
        value = parse_leniently(data.decode())
    except (ValueError, RecursionError):  # not JSON either, after the place where msgspec stopped
        return InvalidInputError(str(error), (Finding("", "invalid", str(error)),))
    return _explained(error, inspect.type_info(kind), value)


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
    word = next((match for match in _STRING_OR_WORD.finditer(data) if match["word"]), None)
    if word is not None:
        found = f"{word['word'].decode()} near byte {word.start()}"
        return MalformedError(f"{what} has {found}; JSON has no such number, so send null for a missing value")
    return MalformedError(f"{what} is not JSON in UTF-8: {error}")


def _explained(error: msgspec.ValidationError, expected: inspect.Type, value: Any) -> InvalidInputError:
    finding = next(mismatches(expected, value, ""), None)
    if finding is None:  # msgspec is stricter than the comparison; its own words are the best there are
        finding = Finding("", "invalid", str(error))
    may_hold_rows = isinstance(expected, inspect.StructType) and "inputs" in {f.encode_name for f in expected.fields}
    has_rows = isinstance(value, dict) and not {"inputs", "file_id"}.isdisjoint(value)
    hint = f"; {ROWS_HINT}" if may_hold_rows and not has_rows and not finding.pointer else ""
    return InvalidInputError(finding.detail + hint, (finding,))


def _number_in(text: str) -> int | str:
    """As msgspec reads a query: `1.0` is 1."""
    try:
        return int(text) if len(text) < 400 else text
    except ValueError:
        return int(float(text)) if re.fullmatch(r"-?\d{1,15}\.0+", text) else text
