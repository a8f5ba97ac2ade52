"""Decodes and checks the body of a request."""

from typing import Any, TypeVar

import msgspec
from flask import Request, request

from api.http.validation_errors import misfit, unreadable
from queuecast.domain.errors import (
    LengthRequiredError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaError,
)

T = TypeVar("T")


JSON = "application/json"


MAX_DEPTH = 32


def current_request() -> Request:
    """The request itself, for hot routes: every look through Flask's stand-in for it finds it anew."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def json_body(kind: type[T], max_bytes: int) -> T:
    """The present request's JSON body as `kind`. A compressed body is refused and never inflated.

    Raises UnsupportedMediaError, LengthRequiredError, TooLargeError, MalformedError or InvalidInputError.
    """
    require_uncompressed()
    asked = current_request()
    if asked.environ.get("CONTENT_TYPE") != JSON and asked.mimetype != JSON:
        raise UnsupportedMediaError(f"Content-Type is {asked.mimetype or 'missing'}; expected {JSON}")
    require_length(asked.content_length, max_bytes)
    return decode_json(kind, asked.get_data())


def require_uncompressed() -> None:
    """Raises UnsupportedMediaError for a compressed body: it is never inflated here."""
    encoding = request.environ.get("HTTP_CONTENT_ENCODING", "identity")
    if encoding != "identity":
        raise UnsupportedMediaError(f"Content-Encoding is {encoding[:40]!r}; send the body as it is")


def require_length(length: int | None, limit: int) -> int:
    """Raises LengthRequiredError or TooLargeError before a byte of the body is read."""
    if length is None:
        raise LengthRequiredError(
            "the body has no Content-Length; chunked bodies are refused, for they can be cut unseen"
        )
    if length > limit:
        raise TooLargeError(f"the body has {length} bytes, expected at most {limit}")
    return length


def decode_json(kind: type[T], data: bytes) -> T:
    """JSON bytes as `kind`. Raises MalformedError for what is not JSON, InvalidInputError for what does not fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise misfit(error, kind, data) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(error, data) from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None


def decode_query(kind: type[T], values: dict[str, str]) -> T:
    """Query parameters as `kind`. Raises InvalidInputError."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error, kind) from None


def require_shallow(value: Any, pointer: str) -> None:
    """Raises MalformedError for JSON that is nested deeper than anybody means: it could be read and not written."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return
    raise MalformedError(f"{pointer} is nested more than {MAX_DEPTH} levels deep")
