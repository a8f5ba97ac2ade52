"""Bytes -> a checked request, or a refusal that points at what is wrong. Nothing is queued before this is through.

Rows are checked by a decoder compiled from the signature, in one pass. Only when that says no are they parsed again
and walked by `Signature.findings`, which knows all the places and the words.
"""

import hashlib
import json
import math
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from flask import Request, request

from api.misfits import misfit, unreadable
from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    LengthRequiredError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaError,
)
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature
from queuecast.ports import Repeat

T = TypeVar("T")
JSON = "application/json"
MAX_WAIT_S = 30.0
MAX_DEPTH = 32
MAX_DIGITS = 400  # a float has at most 309 before its point
MAX_GENERATION_DIGITS = 18
MAX_KEY_CHARS = 255
_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool,
}


def present_request() -> Request:
    """The request itself, for hot routes: every look through Flask's stand-in for it finds it anew."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def json_body(kind: type[T], max_bytes: int) -> T:
    """The present request's JSON body as `kind`. A compressed body is refused and never inflated.

    Raises UnsupportedMediaError, LengthRequiredError, TooLargeError, MalformedError or InvalidInputError.
    """
    require_plain()
    asked = present_request()
    if asked.environ.get("CONTENT_TYPE") != JSON and asked.mimetype != JSON:
        raise UnsupportedMediaError(f"Content-Type is {asked.mimetype or 'missing'}; expected {JSON}")
    require_length(asked.content_length, max_bytes)
    return decoded(kind, asked.get_data())


def require_plain() -> None:
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


def decoded(kind: type[T], data: bytes) -> T:
    """JSON bytes as `kind`. Raises MalformedError for what is not JSON, InvalidInputError for what does not fit."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise misfit(error, kind, data) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise unreadable(error, data) from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None


def converted(kind: type[T], values: dict[str, str]) -> T:
    """Query parameters as `kind`. Raises InvalidInputError."""
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error, kind) from None


def require_rows(signature: Signature, rows: bytes, max_rows: int) -> tuple[int, bytes]:
    """How many rows there are, all of them fit for the signature, and their JSON. rows: the JSON text of `inputs`.

    It is theirs as it came, but for `3.0` where a column takes whole numbers: the estimator gets 3, as from a file.

    Raises InvalidInputError with a finding for each of the first misfits.
    """
    decoder, is_compiled = _row_check(signature)
    try:
        count = len(decoder.decode(rows))
    except msgspec.ValidationError as error:
        mended = _mended(signature, rows, error)
        return require_rows(signature, mended, max_rows)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # `inputs` was passed over unread before
        raise unreadable(error, rows, "inputs") from None
    except RecursionError:
        raise MalformedError("the rows are nested too deeply") from None
    if not is_compiled:
        findings = signature.findings(_parsed(rows))
        if findings:
            raise _misfit(findings)
        rows = signature.with_whole_numbers(rows) or rows
    if count == 0:
        finding = Finding("/inputs", "empty", "found an empty list, expected at least one row")
        raise InvalidInputError("there are no rows", (finding,))
    if count > max_rows:
        detail = (
            f"found {count} rows, expected at most {max_rows} in one prediction; more belong in a batch job "
            "(POST /v1/models/{model}/batches)"
        )
        raise InvalidInputError(detail, (Finding("/inputs", "too_many_rows", detail),))
    return count, rows


def _mended(signature: Signature, rows: bytes, error: msgspec.ValidationError) -> bytes:
    """Rows that the decoder refused and the rule takes. Raises InvalidInputError for all others."""
    parsed = _parsed(rows)
    findings = signature.findings(parsed) if isinstance(parsed, list) else ()
    if findings:
        raise _misfit(findings)
    # The rule knows that 3.0 is 3. Beyond that both say the same of every row (a test holds them to it), but for a
    # column that is there twice.
    mended = signature.with_whole_numbers(rows) if isinstance(parsed, list) else None
    if mended is None:
        raise misfit(error, within="/inputs") from None
    return mended


def _misfit(findings: tuple[Finding, ...]) -> InvalidInputError:
    more = "" if len(findings) == 1 else f" (and {len(findings) - 1} more)"
    return InvalidInputError(f"{findings[0].pointer}: {findings[0].detail}{more}", findings)


def _parsed(rows: bytes) -> Any:
    """The rows for the walk that finds every misfit: numbers that are too long to hold become infinite."""
    try:
        return json.loads(rows, parse_int=lambda digits: int(digits) if len(digits) < MAX_DIGITS else math.inf)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the rows are not JSON in UTF-8, or nested too deeply: {error}") from None


@lru_cache(maxsize=256)
def _row_check(signature: Signature) -> tuple[msgspec.json.Decoder[list[Any]], bool]:
    """What reads the rows, and whether it checks them too."""
    if not _is_compilable(signature):
        return msgspec.json.Decoder(list[Any]), False
    types = [_type_of(column) for column in signature.columns]
    row: Any = tuple[*types]  # type: ignore[valid-type]
    if signature.layout is Layout.FRAME:
        # Field names must be identifiers; the column names travel as their JSON names.
        fields = [
            (f"c{index}", kind, msgspec.field(name=column.name))
            for index, (column, kind) in enumerate(zip(signature.columns, types, strict=True))
        ]
        row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True)
    return msgspec.json.Decoder(list[row]), True


def _is_compilable(signature: Signature) -> bool:
    """msgspec takes no field whose name JSON must escape, and no choice of nothing: those are walked."""
    return all(
        json.dumps(column.name, ensure_ascii=False) == f'"{column.name}"' and column.categories != ()
        for column in signature.columns
    )


def _type_of(column: Column) -> Any:
    kind = _TYPES[column.type]
    if column.categories is not None:
        kind = Literal[column.categories]
    return kind | None if column.nullable else kind


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


@lru_cache(maxsize=64)
def preferred_wait_s(prefer: str) -> float | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), at most 30; None when it is absent or unreadable, as the RFC wants."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait" and value.strip().strip('"').isdecimal():
            return min(float(value.strip().strip('"')), MAX_WAIT_S)
    return None


def repeat_of(*parts: str | bytes) -> Repeat | None:
    """What the request's Idempotency-Key and `parts`, all that was asked for, make of it; None without a key.

    Raises InvalidInputError for a key that cannot be one.
    """
    key = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        return None
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY_CHARS):
        detail = f"Idempotency-Key has {len(key)} characters, expected 1 to {MAX_KEY_CHARS} printable ones of ASCII"
        raise InvalidInputError(detail)
    fingerprint = hashlib.sha256(request.path.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        fingerprint.update(b"%d:" % len(data) + data)
    # There are no accounts: all callers share one space of keys.
    return Repeat(hashlib.sha256(key.encode()).hexdigest(), fingerprint.hexdigest())


def expected_generation(if_match: str) -> int | None:
    """The generation in `If-Match: "12"`; None for `*`. Raises InvalidInputError for anything else."""
    tag = if_match.strip()
    if tag == "*":
        return None
    number = tag.removeprefix("W/").strip('"')
    if not number.isdecimal() or len(number) > MAX_GENERATION_DIGITS:
        raise InvalidInputError(f'If-Match is {if_match[:80]!r}, expected the ETag of the model, such as "3"')
    return int(number)
