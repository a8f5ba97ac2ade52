"""Decodes and checks the body and the query of a request."""

from typing import Any, TypeVar

import msgspec
from flask import Request, request

from api.http.validation_errors import body_error, malformed_body, query_error
from queuecast.domain.errors import LengthRequiredError, MalformedError, TooLargeError, UnsupportedMediaError

T = TypeVar("T")
JSON = "application/json"


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
    if current.environ.get("CONTENT_TYPE") != JSON and current.mimetype != JSON:
        raise UnsupportedMediaError(f"Content-Type is {current.mimetype or 'missing'}, expected {JSON}")
    require_length(current.content_length, max_bytes)
    return decode_json(kind, current.get_data())


def require_uncompressed() -> None:
    """Raises UnsupportedMediaError for a compressed body: a small one may inflate to more than memory holds."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding != "identity":
        raise UnsupportedMediaError(f"Content-Encoding is {encoding[:40]!r}; send the body uncompressed")


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


def decode_query(kind: type[T], values: dict[str, str]) -> T:
    """Query parameters as `kind`. Raises InvalidInputError."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise query_error(error, kind, values) from None


def require_shallow(value: Any, pointer: str, max_depth: int = 32) -> None:
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
