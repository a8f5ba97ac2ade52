"""Bytes -> a checked request, or a refusal that points at what is wrong. Nothing is queued before this is through.

Rows are checked by a decoder compiled from the signature, in one pass. Only when that says no are they parsed again
and walked by `Signature.findings`, which knows all the places and the words.
"""

import re
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from flask import request

from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    LengthRequiredError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaError,
)
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature

T = TypeVar("T")
MAX_WAIT_S = 30.0
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>.*)`$")
_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool,
}


def json_body(kind: type[T], max_bytes: int) -> T:
    """The present request's JSON body as `kind`. A compressed body is refused and never inflated.

    Raises UnsupportedMediaError, LengthRequiredError, TooLargeError, MalformedError or InvalidInputError.
    """
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaError(f"Content-Encoding is {encoding!r}; send the body as it is")
    if request.mimetype != "application/json":
        raise UnsupportedMediaError(f"Content-Type is {request.mimetype or 'missing'}; expected application/json")
    require_length(request.content_length, max_bytes)
    return decoded(kind, request.get_data(cache=False))


def require_length(length: int | None, limit: int) -> int:
    """Raises LengthRequiredError or TooLargeError before a byte of the body is read."""
    if length is None:
        raise LengthRequiredError(
            "the body has no Content-Length; chunked bodies are refused, for they can be cut unseen"
        )
    if length > limit:
        raise TooLargeError(f"the body has {length} bytes, expected at most {limit}")
    return length


def decoded(kind: type[T], data: bytes) -> T:
    """JSON bytes as `kind`. Raises MalformedError for what is not JSON, InvalidInputError for what does not fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError(f"the body is not JSON in UTF-8: {error}") from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None


def converted(kind: type[T], values: dict[str, str]) -> T:
    """Query parameters as `kind`. Raises InvalidInputError."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: msgspec.ValidationError) -> InvalidInputError:
    found = _PATH.search(str(error))
    pointer = re.sub(r"\[(\d+|\.\.\.)\]|\.", lambda part: "/" + (part[1] or ""), found["path"]) if found else ""
    detail = _PATH.sub("", str(error))
    return InvalidInputError(detail, (Finding(pointer, "invalid", detail),))


def require_rows(signature: Signature, rows: bytes, max_rows: int) -> int:
    """How many rows there are, all of them fit for the signature. rows: the JSON text of `inputs`.

    Raises InvalidInputError with a finding for each of the first misfits.
    """
    try:
        count = len(_decoder(signature).decode(rows))
    except msgspec.ValidationError as error:
        raise _misfits(signature, rows, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # `inputs` was passed over unread before
        raise MalformedError(f"the rows are not JSON in UTF-8: {error}") from None
    except RecursionError:
        raise MalformedError("the rows are nested too deeply") from None
    if count == 0:
        finding = Finding("/inputs", "empty", "found an empty list, expected at least one row")
        raise InvalidInputError("there are no rows", (finding,))
    if count > max_rows:
        detail = (
            f"found {count} rows, expected at most {max_rows} in one prediction; more belong in a batch job "
            "(POST /v1/models/{model}/batches)"
        )
        raise InvalidInputError(detail, (Finding("/inputs", "too_many_rows", detail),))
    return count


def _misfits(signature: Signature, rows: bytes, error: msgspec.ValidationError) -> InvalidInputError:
    try:
        parsed = msgspec.json.decode(rows)
    except (msgspec.DecodeError, RecursionError):  # a number too long to hold; the compiled check has said where
        parsed = None
    if not isinstance(parsed, list):
        invalid = _invalid(error)
        pointer = "/inputs" + invalid.findings[0].pointer
        return InvalidInputError(invalid.detail, (Finding(pointer, "invalid", invalid.detail),))
    findings = signature.findings(parsed)
    if not findings:  # both say the same of every row (a test holds them to it); never let a disagreement through
        return _invalid(error)
    more = "" if len(findings) == 1 else f" (and {len(findings) - 1} more)"
    return InvalidInputError(f"{findings[0].pointer}: {findings[0].detail}{more}", findings)


@lru_cache(maxsize=256)
def _decoder(signature: Signature) -> msgspec.json.Decoder[list[Any]]:
    types = [_type_of(column) for column in signature.columns]
    row: Any = tuple[*types]  # type: ignore[valid-type]
    if signature.layout is Layout.FRAME:
        names = [column.name for column in signature.columns]
        # Field names must be identifiers; the column names travel as their JSON names.
        fields = [
            (f"c{i}", kind, msgspec.field(name=name)) for i, (name, kind) in enumerate(zip(names, types, strict=True))
        ]
        row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True)
    return msgspec.json.Decoder(list[row])


def _type_of(column: Column) -> Any:
    kind = _TYPES[column.type]
    if column.categories is not None:
        kind = Literal[column.categories]
    return kind | None if column.nullable else kind


def preferred_wait_s(prefer: str) -> float | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most 30; None when it is absent or unreadable, as the RFC wants."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return min(float(value.strip().strip('"')), MAX_WAIT_S)
    return None


def expected_generation(if_match: str) -> int | None:
    """The generation in `If-Match: "12"`; None for `*`. Raises InvalidInputError for anything else."""
    tag = if_match.strip()
    if tag == "*":
        return None
    number = tag.removeprefix("W/").strip('"')
    if not number.isdecimal():
        raise InvalidInputError(f'If-Match is {if_match[:80]!r}, expected the ETag of the model, such as "3"')
    return int(number)
