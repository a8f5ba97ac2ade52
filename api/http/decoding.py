"""Decodes and checks the body and the query of a request."""

import re
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from flask import Request, request

from api.http.type_mismatches import has_type, mismatches
from api.http.validation_errors import body_error, malformed_body, query_error
from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    LengthRequiredError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaError,
    mismatch,
    shortened,
)
from queuecast.domain.findings.json_texts import escaped
from queuecast.tables.decoding_errors import plain_words
from queuecast.tables.json_values import parse_leniently

T = TypeVar("T")
JSON = "application/json"
MAX_OBJECT_BYTES = 16 * 1024
"""Of an object whose fields the caller chooses. A job's record holds it, and every list repeats the record."""
_FREE_OBJECT = msgspec.inspect.type_info(dict[str, Any])


def current_request() -> Request:
    """The request itself, for hot routes: each access through Flask's proxy looks it up again."""
    proxied: Request = request._get_current_object()  # type: ignore[attr-defined]
    return proxied


def json_body(kind: type[T], max_bytes: int) -> T:
    """The JSON body of the current request as `kind`.

    Raises UnsupportedMediaError, LengthRequiredError, TooLargeError, MalformedError or InvalidInputError.
    """
    require_uncompressed()
    current = current_request()
    if current.environ.get("CONTENT_TYPE") != JSON:
        if current.mimetype != JSON:
            raise UnsupportedMediaError(f"Content-Type is {current.mimetype or 'missing'}, expected {JSON}")
        require_utf8(current.mimetype_params)
    require_length(current.content_length, max_bytes)
    return decode_json(kind, current.get_data())


def require_uncompressed() -> None:
    """Raises UnsupportedMediaError for a compressed body: a small one may inflate to more than memory holds."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding != "identity":
        raise UnsupportedMediaError(f"Content-Encoding is {encoding[:40]!r}; send the body uncompressed")


def require_utf8(parameters: Mapping[str, str]) -> None:
    """Raises UnsupportedMediaError for text in another charset. parameters: those of the media type."""
    charset = parameters.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaError(f"the charset is {charset[:40]!r}, expected utf-8")


def require_length(length: int | None, limit: int) -> int:
    """Raises LengthRequiredError or TooLargeError before a byte of the body is read."""
    if length is None:
        raise LengthRequiredError(
            "the body has no Content-Length; chunked bodies are refused, because a truncated one would go unnoticed"
        )
    if length > limit:
        raise TooLargeError(f"the body has {length} bytes, expected at most {limit}")
    return length


def decode_json(kind: type[T], data: bytes) -> T:
    """JSON bytes as `kind`. Raises MalformedError if they are not JSON, InvalidInputError if they do not fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise body_error(error, kind, data) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed_body(error, data) from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None


def decode_object(text: msgspec.Raw, pointer: str) -> dict[str, Any]:
    """An object of the body whose fields the caller chooses. It was not decoded before its size is known.

    Raises InvalidInputError if it is no object or too large, MalformedError if it is nested too deeply.
    """
    size = memoryview(text).nbytes
    if size > MAX_OBJECT_BYTES:
        finding = mismatch(pointer, "too_long", f"{size} bytes", f"at most {MAX_OBJECT_BYTES}")
        raise InvalidInputError(f"{pointer}: {finding.detail}", (finding,))
    data = bytes(text)
    if data == b"{}":  # of most requests
        return {}
    try:
        value = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.ValidationError as error:
        found = mismatches(_FREE_OBJECT, parse_leniently(data.decode(errors="replace")), pointer)
        finding = next(found, Finding(pointer, "invalid", plain_words(error)))
        raise InvalidInputError(finding.detail, (finding,)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed_body(error, data, pointer) from None
    except RecursionError:
        raise MalformedError(f"{pointer} is nested too deeply") from None
    _require_shallow(value, pointer)
    return value


def read_query(kind: type[T]) -> T:
    """The query of the current request as `kind`. Raises InvalidInputError, also for a repeated parameter."""
    values = current_request().args
    for name, texts in values.lists():
        if len(texts) > 1:
            finding = mismatch(f"/{escaped(name)}", "repeated", f"the parameter {len(texts)} times", "it once")
            raise InvalidInputError(f"{shortened(name)!r}: {finding.detail}", (finding,))
    for name in _number_names(kind):  # type: ignore[arg-type]
        if name in values and not re.fullmatch("0|[1-9][0-9]*", values[name]):
            found = repr(shortened(values[name]))
            finding = mismatch(f"/{name}", "wrong_type", found, "a whole number in ASCII digits, without leading zeros")
            raise InvalidInputError(finding.detail, (finding,))
    try:
        return msgspec.convert(values.to_dict(), kind, strict=False)
    except msgspec.ValidationError as error:
        raise query_error(error, kind, values.to_dict()) from None


@lru_cache(maxsize=16)
def _number_names(kind: Hashable) -> tuple[str, ...]:
    info: Any = msgspec.inspect.type_info(kind)
    return tuple(field.encode_name for field in info.fields if has_type(field.type, 0))


def _require_shallow(value: Any, pointer: str, max_depth: int = 32) -> None:
    """Raises MalformedError for deeply nested JSON, which can be decoded at a depth where it cannot be encoded."""
    level = [value]
    for _ in range(max_depth):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise MalformedError(f"{pointer} is nested more than {max_depth} levels deep")
