"""Checks the rows of a request against a model's signature before anything is queued.

A decoder that is compiled from the signature checks the rows in one pass. Rows that it refuses are parsed again, one at
a time, and checked by `Signature.findings`, which finds every mismatch and describes it.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from api.http.validation_errors import ROWS_HINT, malformed_body
from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns
from queuecast.domain.errors import Finding, InvalidInputError, MalformedError, mismatch
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.findings.json_texts import escaped, shown
from queuecast.domain.findings.nearest_names import with_nearest
from queuecast.domain.signature import Layout, Signature, column_findings
from queuecast.tables.decoding_errors import plain_words
from queuecast.tables.json_values import (
    MANY_KEYS,
    check_cell,
    checked_type,
    first_keys,
    is_field_name,
    parse_items_leniently,
    without_extra_columns,
)
from queuecast.tables.object_values import object_type

_OBJECTS = re.compile(rb"\s*\[\s*\{")
_LARGE_BYTES = 256 * 1024
_ROWS_AT_A_TIME = 500
_rows_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_objects_decoder = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class CheckedRows(NamedTuple):
    n_rows: int
    rows: bytes
    ignored: IgnoredColumns | None = None


class _Row(dict[str, Any]):
    """A JSON object that remembers repeated names."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def require_rows(
    signature: Signature,
    rows: bytes,
    max_rows: int,
    extra_columns: ExtraColumns = ExtraColumns.REFUSE,
    left_out: Sequence[str] = (),
    *,
    keeps_names: bool = False,
) -> CheckedRows:
    """Returns the number of rows and their JSON. rows: the JSON text of `inputs`.

    left_out: columns that the rows had and the model has not; one of them may be meant by a missing one.

    Objects for a model whose rows are lists become lists, unless keeps_names. Apart from that, the JSON is returned
    unchanged, except that `3.0` becomes `3` in integer columns and `1.0` becomes `1` in boolean ones, as they would
    from a file, and without the columns that are ignored.

    Raises InvalidInputError with a finding for each of the first mismatches, or MalformedError.
    """
    if signature.takes_lists and _OBJECTS.match(rows) and signature.takes_names:
        by_name = replace(signature, layout=Layout.FRAME, labels=None)
        checked = require_rows(by_name, rows, max_rows, extra_columns)
        return checked if keeps_names else checked._replace(rows=_as_lists(signature, checked.rows))
    decoder, checks_values = _decoder_for(signature, rows)
    try:
        count = _decoded_rows(decoder, rows, max_rows)
    except msgspec.ValidationError as error:
        if extra_columns is ExtraColumns.IGNORE and signature.is_named:
            return _require_without_extra(signature, rows, max_rows)
        rows = _with_whole_numbers(signature, rows, error, left_out)
        return require_rows(signature, rows, max_rows)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # `inputs` is decoded here for the first time
        raise malformed_body(error, rows, "inputs") from None
    except RecursionError:
        raise MalformedError("the rows are nested too deeply") from None
    if not checks_values:
        if extra_columns is ExtraColumns.IGNORE and signature.is_named:
            return _require_without_extra(signature, rows, max_rows)
        _require_no_findings(signature, signature.all_findings(_parsed(rows)), left_out)
        rows = signature.with_whole_numbers(rows) or rows
    if count == 0:
        raise InvalidInputError(
            "there are no rows", (mismatch("/inputs", "empty", "an empty list", "at least one row"),)
        )
    if count > max_rows:
        expected = f"at most {max_rows} in one prediction"
        finding = mismatch("/inputs", "too_many_rows", f"{count} rows", expected)
        hint = "; submit more rows as a batch job (POST /v1/models/{model}/batches)"
        raise InvalidInputError(finding.detail + hint, (finding,))
    return CheckedRows(count, rows)


def _decoded_rows(decoder: msgspec.json.Decoder[Any], rows: bytes, max_rows: int) -> int:
    """The number of rows. Many are decoded in parts: 10,000 at once would leave 5 MiB of scattered free memory behind.

    Raises what `decoder` raises for all rows.
    """
    # Each part of the list takes 56 bytes, so a body of `{},{},...` must not be cut up.
    if len(rows) > _LARGE_BYTES and rows.count(b",") <= 16 * max_rows:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # again below, with the right positions
            parts = _rows_decoder.decode(rows)
            for start in range(0, len(parts), _ROWS_AT_A_TIME):
                decoder.decode(b"[%b]" % b",".join(parts[start : start + _ROWS_AT_A_TIME]))
            return len(parts)
    return len(decoder.decode(rows))


def _as_lists(signature: Signature, rows: bytes) -> bytes:
    names = [column.name for column in signature.columns]
    return msgspec.json.encode([[row[name] for name in names] for row in _objects_decoder.decode(rows)])


def _require_without_extra(signature: Signature, rows: bytes, max_rows: int) -> CheckedRows:
    """For rows that may have other columns than the model: the rest of them has to fit."""
    extra: list[str] = []
    try:
        msgspec.json.decode(rows, type=msgspec.Raw)
        # Otherwise `inputs` is no list, or a name has half of a surrogate pair: refused below.
        with suppress(ValueError, RecursionError):
            rows, extra = without_extra_columns(rows, {column.name for column in signature.columns})
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed_body(error, rows, "inputs") from None
    checked = require_rows(signature, rows, max_rows, left_out=extra)
    return checked._replace(ignored=IgnoredColumns.of(extra))


def _with_whole_numbers(
    signature: Signature, rows: bytes, error: msgspec.ValidationError, left_out: Sequence[str]
) -> bytes:
    """Rows that only the decoder refuses, because of `3.0` in an integer column. Raises InvalidInputError otherwise."""
    first = rows.lstrip()[:1]
    if first != b"[":
        found = "an object" if first == b"{" else shown(next(_parsed(b"[%b]" % rows)))
        finding = mismatch("/inputs", "wrong_type", found, "a list of rows")
        raise InvalidInputError(f"{finding.detail}; {ROWS_HINT}", (finding,))
    _require_no_findings(signature, signature.all_findings(_parsed(rows)), left_out)
    # Otherwise the decoder and `findings` agree on every row (tested), except on one that repeats a column.
    changed = signature.with_whole_numbers(rows)
    if changed is None:
        _require_no_findings(signature, _hidden_findings(signature, rows))
        raise first_findings([Finding("/inputs", "invalid", plain_words(error))]).refusal()
    return changed


def _hidden_findings(signature: Signature, rows: bytes) -> Iterator[Finding]:
    """The values that do not fit their column, also those that are hidden by a later one of the same name."""
    columns = {column.name: column for column in signature.columns}
    for index, row in enumerate(_parsed(rows, object_pairs_hook=_Row)):
        for name, value in row.pairs if isinstance(row, _Row) else ():
            if name in columns:
                yield from column_findings(columns[name], value, f"/inputs/{index}/{escaped(name)}")


def _require_no_findings(signature: Signature, found: Iterator[Finding], left_out: Sequence[str] = ()) -> None:
    findings = first_findings(found)
    if findings.total:
        unknown = [finding.column or "" for finding in findings.first if finding.code == "unknown_column"]
        known = (column.name for column in signature.columns)
        raise with_nearest(findings, known, [*left_out, *unknown]).refusal()


def _parsed(rows: bytes, **options: Any) -> Iterator[Any]:
    """The rows one at a time: a list of all of them would take up to thirty times the size of the text."""
    try:
        yield from parse_items_leniently(rows.decode(), **options)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the rows are not JSON in UTF-8, or nested too deeply: {error}") from None


def _decoder_for(signature: Signature, rows: bytes) -> tuple[msgspec.json.Decoder[list[Any]], bool]:
    """The decoder, and whether it also checks the values."""
    if len(signature.columns) > MANY_KEYS and signature.is_named:
        keys = first_keys(rows, [column.name for column in signature.read_columns])
        if keys:
            return _wide_row_decoder(signature, keys)
    return _row_decoder(signature)


@lru_cache(maxsize=8)  # a caller decides the order of the keys, and each decoder takes some megabytes
def _wide_row_decoder(signature: Signature, keys: tuple[str, ...]) -> tuple[msgspec.json.Decoder[list[Any]], bool]:
    """For rows that have their keys in another order than the signature."""
    columns = {column.name: column for column in signature.columns}
    unread = (column for column in signature.columns if not column.read)
    return _row_decoder.__wrapped__(replace(signature, columns=(*(columns[key] for key in keys), *unread)))


@lru_cache(maxsize=256)
def _row_decoder(signature: Signature) -> tuple[msgspec.json.Decoder[list[Any]], bool]:
    if signature.layout is Layout.OBJECT:
        kind, is_complete = object_type(signature.objects)
        return msgspec.json.Decoder(list[kind]), is_complete  # type: ignore[valid-type]
    if not _is_compilable(signature):
        return msgspec.json.Decoder(list[Any]), False
    types = [checked_type(column) for column in signature.columns]
    row: Any = tuple[*types]  # type: ignore[valid-type]
    if signature.is_named:
        # A struct's field names must be identifiers; the column names are their names in JSON.
        fields = [
            (f"c{index}", kind, msgspec.field(name=column.name, **({} if column.read else {"default": None})))
            for index, (column, kind) in enumerate(zip(signature.columns, types, strict=True))
        ]
        row = msgspec.defstruct("Row", fields, forbid_unknown_fields=True, kw_only=True)
    elif signature.layout is Layout.TEXT:
        row = types[0]
    return msgspec.json.Decoder(list[row], dec_hook=check_cell), True


def _is_compilable(signature: Signature) -> bool:
    """msgspec takes no empty choice, and not every field name."""
    return all(
        (is_field_name(column.name) or not signature.is_named) and column.categories != ()
        for column in signature.columns
    )
