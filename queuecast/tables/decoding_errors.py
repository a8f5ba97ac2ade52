"""Says in plain words why msgspec refused a JSON value. msgspec writes Python's types, operators, and its own path."""

import re

# A type as msgspec writes it -> as a caller reads it.
_PLAIN_TYPES = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_OPERATORS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_LENGTH = re.compile(r" of (?:(at least|at most) )?length (?=\S)")
_OPERATOR = re.compile("|".join(_OPERATORS))
_FAULTS = {
    "Object missing required field ": "the field {} is missing",
    "Object contains unknown field ": "the field {} is unknown",
    "Invalid enum value ": "{} is not one of the values that are allowed",
    "Invalid value ": "{} is not one of the values that are allowed",
}
_STEP = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")


def plain_words(error: Exception) -> str:
    """The error of msgspec in JSON's words, after a JSON pointer to the place if it names one."""
    text, is_placed, path = str(error).rpartition(" - at ")
    if not is_placed:
        return _plain_sentence(path)
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(path))
    return f"{pointer}: {_plain_sentence(text)}" if pointer else _plain_sentence(text)


def _plain_sentence(text: str) -> str:
    if text.startswith("Expected "):
        expected, has_found, found = text.removeprefix("Expected ").partition(", got ")
        expected = _plain_types(_plain_bounds(expected))
        return f"found {_plain_types(found)}, expected {expected}" if has_found else f"expected {expected}"
    for start, words in _FAULTS.items():
        if text.startswith(start):
            return words.format(_plain_types(text.removeprefix(start)))
    return _plain_types(text)


def _plain_bounds(text: str) -> str:
    text, matches, pattern = text.partition(" matching regex ")
    text = _LENGTH.sub(lambda length: f" with a length of {length[1]} " if length[1] else " with a length of ", text)
    text = re.sub(r"(?<=`) (?=[<>])", " of ", text)
    text = _OPERATOR.sub(lambda operator: _OPERATORS[operator[0]], text)
    return f"{text} that matches {pattern}" if matches else text


def _plain_types(text: str) -> str:
    """Types by their plain names, and other names in quotes."""
    return re.sub(r"`([^`]*)`", lambda quoted: _plain_name(quoted[1]), text)


def _plain_name(text: str) -> str:
    parts = text.split(" | ")
    return " or ".join(_PLAIN_TYPES[part] for part in parts) if set(parts) <= _PLAIN_TYPES.keys() else repr(text)
