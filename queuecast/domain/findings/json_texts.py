"""JSON values and pointers in the text of a finding."""

import json
from typing import Any

from queuecast.domain.errors import short_name, shortened


def shown(value: Any) -> str:
    """A JSON value in a sentence, shortened."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    kind = {str: "string ", bool: "", int: "number ", float: "number "}.get(type(value), "")
    return kind + shortened(encodable(json.dumps(value, ensure_ascii=False)))


def escaped(name: str) -> str:
    """A token of a JSON Pointer (RFC 6901, section 3). A long name is cut, and points at nothing."""
    return short_name(encodable(name)).replace("~", "~0").replace("/", "~1")


def encodable(text: str) -> str:
    """JSON may hold half of a surrogate pair, which UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
