"""Bytes -> a checked request, or a refusal that points at what is wrong. Nothing is queued before this is through.

Rows are checked by a decoder compiled from the signature, in one pass. Only when that says no are they parsed again
and walked by `Signature.findings`, which knows all the places and the words.
"""

import json
import math
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from api.http.validation_errors import misfit, unreadable
from queuecast.domain.errors import (
    Finding,
    InvalidInputError,
    MalformedError,
)
from queuecast.domain.signature import INT64_MAX, INT64_MIN, Column, ColumnType, Layout, Signature

MAX_DIGITS = 400  # a float has at most 309 before its point
_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool,
}


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
