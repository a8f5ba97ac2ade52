"""What a decoder says of a body that it refuses -> what its sender can act on. A body that fits never comes here."""

import re
from typing import Any

import msgspec
from msgspec import inspect

from queuecast.domain.errors import Finding, InvalidInputError, MalformedError

ROWS_BELONG = 'rows belong into a list: {"inputs": [{...}]}'
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`$")
_NO_JSON_NUMBER = re.compile(rb"-?\b(?:nan|inf(?:inity)?)\b", re.IGNORECASE)


def misfit(error: msgspec.ValidationError, kind: Any = None, data: bytes = b"", within: str = "") -> InvalidInputError:
    """kind: what was expected of `data`, None for rows; within: the pointer to it."""
    pointer = within + _pointer(error)
    detail = misfit_words(error, kind, data)
    return InvalidInputError(detail, (Finding(pointer, "invalid", detail),))


def unreadable(error: Exception, data: bytes, what: str = "the body") -> MalformedError:
    if not data.strip():
        return MalformedError(f"{what} is empty, expected JSON")
    at = re.search(r"\(byte (\d+)\)$", str(error))
    place = int(at[1]) if at else len(data)
    word = _NO_JSON_NUMBER.search(data[max(place - 3, 0) : place + 10])
    if word is not None:
        found = f"{word[0].decode()} near byte {place}"
        return MalformedError(f"{what} has {found}, which JSON has not; send null for a missing value")
    return MalformedError(f"{what} is not JSON in UTF-8: {error}")


def misfit_words(error: msgspec.ValidationError, kind: Any, data: bytes) -> str:
    """The decoder's words, and what it might have said besides."""
    words = _PATH.sub("", str(error))
    path = [part for part in _pointer(error).split("/") if part]
    if kind is None:
        is_row = not path and words == "Expected `array`, got `object`"
        return f"found an object, expected a list of rows; {ROWS_BELONG}" if is_row else words
    expected = _expected(kind, path)
    values = [value for each in expected for value in _values(each)]
    if values and words.startswith("Invalid enum value "):
        words = f"found {words.removeprefix('Invalid enum value ')[:80]}, expected one of {', '.join(map(str, values))}"
    names = [field.encode_name for each in expected if isinstance(each, inspect.StructType) for field in each.fields]
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", words, re.DOTALL)
    if names and unknown:
        words = f"found an unknown field {unknown[1][:80]!r}, expected no others than {', '.join(names)}"
    if not path and "inputs" in names and _lacks_rows(data):
        words += f"; {ROWS_BELONG}"
    return words


def _pointer(error: msgspec.ValidationError) -> str:
    found = _PATH.search(str(error))
    path = found["path"].partition("[...]")[0] if found else ""  # within a free object it says no more
    return re.sub(r"\[(\d+)\]|\.", lambda part: "/" + (part[1] or ""), path)


def _expected(kind: Any, path: list[str]) -> list[inspect.Type]:
    """What may be at a place, as far as structs lead there."""
    found = _choices(inspect.type_info(kind))
    for name in path:
        fields = [field for each in found if isinstance(each, inspect.StructType) for field in each.fields]
        found = [choice for field in fields if field.encode_name == name for choice in _choices(field.type)]
    return found


def _choices(kind: inspect.Type) -> list[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return _choices(kind.type)
    if isinstance(kind, inspect.UnionType):
        return [choice for each in kind.types for choice in _choices(each)]
    return [kind]


def _values(kind: inspect.Type) -> list[Any]:
    if isinstance(kind, inspect.EnumType):
        return [member.value for member in kind.cls]
    return list(kind.values) if isinstance(kind, inspect.LiteralType) else []


def _lacks_rows(data: bytes) -> bool:
    """Whether a body that may have rows is a row itself, or a list of them."""
    try:
        return not {"inputs", "file_id"} & msgspec.json.decode(data, type=dict[str, msgspec.Raw]).keys()
    except msgspec.ValidationError:
        return True
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # behind what was found first
        return False
