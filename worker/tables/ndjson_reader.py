"""Reads one range of an NDJSON file.

A decoder that is compiled from the signature decodes the whole range in one pass. If it fails, the lines are
decoded one by one. A value has to fit its column as in a prediction's rows (`queuecast.domain.signature`): `1.0` is an
integer, and a string is never a number.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from queuecast.domain.chunking import FileRange
from queuecast.domain.columns.extra_columns import ExtraColumns, extra_columns_refusal
from queuecast.domain.errors import Finding, short_name
from queuecast.domain.findings.bounds import MAX_FINDINGS, list_names
from queuecast.domain.findings.json_texts import shown
from queuecast.domain.signature import (
    INT64_MAX,
    INT64_MIN,
    Column,
    ColumnType,
    Layout,
    Signature,
    column_findings,
    fault_code,
)
from queuecast.tables.decoding_errors import plain_words
from queuecast.tables.json_values import NOT_JSON, VALUE_TYPES, first_keys, is_field_name, parse_leniently
from worker.models.columns.typed_columns import ARROW_TYPES, fitting_values
from worker.models.frames import truths
from worker.tables.checked_columns import check_column
from worker.tables.file_columns import find_keys
from worker.tables.file_ranges import numbered_lines, read_bytes
from worker.tables.rows import BadRow, Rows, number_rows
from worker.tables.without_columns.text_lines import read_text_lines

_NEWLINE, _RETURN = 10, 13
_NULL = msgspec.Raw(b"null")
_raw_row_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Keys(NamedTuple):
    """sources: the key of each column of the signature; empty for rows that are lists. extra: further ones."""

    sources: tuple[str, ...]
    extra: tuple[str, ...]
    refuses_others: bool


def read_ndjson_rows(
    path: Path,
    signature: Signature,
    file_range: FileRange,
    extra: Sequence[str] = (),
    extra_columns: ExtraColumns = ExtraColumns.IGNORE,
    unread: Sequence[str] = (),
) -> Rows:
    """extra: keys whose values are returned unchecked (`unchecked_array`). extra_columns: for all other keys, except
    those that are `unread`."""
    sources = tuple(find_keys(path, signature, extra))
    extra_keys = tuple(name for name in extra if name not in sources)
    refuses_others = extra_columns is ExtraColumns.REFUSE and bool(sources)
    allowed = tuple(name for name in unread if name not in extra_keys) if refuses_others else ()
    keys = _Keys(sources, (*extra_keys, *allowed), refuses_others)
    data = read_bytes(path, file_range)
    if signature.layout is Layout.TEXT and not sources:
        return read_text_lines(signature.columns[0], data, file_range)
    decoded, unreadable, good_lines = _decode(signature, keys, data, file_range)
    columns = []
    for index, column in enumerate(signature.columns):
        cells = list(map(attrgetter(f"f{index}"), decoded))
        cells = truths(cells) if column.type is ColumnType.BOOLEAN else cells
        if column.texts is not None:
            texts = pa.array([value if value is None else str(value) for value in cells], pa.string())
            values, is_wrong = fitting_values(column, cells)
            columns.append(check_column(column, values, is_wrong, texts))
            continue
        values = pa.array(cells, ARROW_TYPES[column.type])
        columns.append(check_column(column, values, None, values))
    arrays = {
        name: unchecked_array(list(map(attrgetter(f"o{at}"), decoded)), partial(raw_values, name, good_lines))
        for at, name in enumerate(extra_keys)
    }
    for name in (name for name in extra if name in sources):
        texts = raw_values(name, good_lines)
        arrays[name] = unchecked_array(_parse_values(texts), texts.copy)
    numbers = number_rows(file_range.first_row, file_range.n_rows, unreadable)
    return Rows(columns, arrays, numbers, unreadable)


@lru_cache(maxsize=16)
def _decoder(
    signature: Signature, keys: _Keys, order: tuple[str, ...] = (), *, is_list: bool
) -> msgspec.json.Decoder[Any]:
    """order: of the sources in the rows, where it matters (`first_keys`)."""
    sources, extra_keys, refuses_others = keys
    fields: list[Any] = [
        (f"f{index}", VALUE_TYPES[column.type] | None if column.nullable else VALUE_TYPES[column.type])
        for index, column in enumerate(signature.columns)
    ]
    if order:
        places = {name: place for place, name in enumerate(sources)}
        fields = [fields[places[name]] for name in order]
    fields += [(f"o{index}", Any, None) for index in range(len(extra_keys))]
    if is_list:
        row = msgspec.defstruct("Row", fields, array_like=True, forbid_unknown_fields=True, gc=False)
    else:
        renamed = {f"f{index}": source for index, source in enumerate(sources)}
        renamed |= {f"o{index}": name for index, name in enumerate(extra_keys)}
        row = msgspec.defstruct("Row", fields, rename=renamed, forbid_unknown_fields=refuses_others, gc=False)
    return msgspec.json.Decoder(row)


def _decode(
    signature: Signature, keys: _Keys, data: bytes, file_range: FileRange
) -> tuple[list[Any], list[BadRow], bytes]:
    """The good rows, the bad ones, and the lines of the good ones."""
    sources, extra_keys, _ = keys
    needs_lists = not all(map(is_field_name, (*sources, *extra_keys)))
    order = () if needs_lists else first_keys(b"[%b]" % data.partition(b"\n")[0], sources)
    decoder = _decoder(signature, keys, order, is_list=not sources or needs_lists)
    if not needs_lists and _has_one_row_per_line(data, file_range.n_rows, b"{}" if sources else b"[]"):
        try:
            rows = decoder.decode_lines(data)
            if len(rows) == file_range.n_rows:
                return rows, [], data
        except NOT_JSON:
            pass
    rows, bad, good_lines = [], [], []
    for number, line in numbered_lines(data, file_range):
        try:
            rows.append(decoder.decode(_to_list(line, keys) if needs_lists else line))
            good_lines.append(line)
        except (msgspec.ValidationError, KeyError) as error:
            bad_row = _explain(signature, keys, line, number, plain_words(error))
            try:
                # 3.0 is an integer and 1.0 is true by the rule, and not for the decoder.
                is_unexplained = bad_row.code == "malformed"
                changed = signature.with_whole_numbers(b"[%b]" % line, sources) if is_unexplained else None
                row = changed[1:-1] if changed else line
                rows.append(decoder.decode(_to_list(row, keys) if needs_lists else row))
                good_lines.append(line)
            except (*NOT_JSON, KeyError):
                bad.append(bad_row)
        except NOT_JSON as error:
            bad.append(BadRow.not_json(number, error))
    return rows, bad, b"\n".join(good_lines)


def _has_one_row_per_line(data: bytes, n_rows: int, brackets: bytes) -> bool:
    """Whether each line but the first starts like a row, and each line but the last ends like one.

    Then no row spans several lines, because inside a row no closing bracket is followed by a newline and an opening
    one. If there are also as many lines as rows, no line has two rows. The decoder does not check lines: it takes
    `{}{}` for two rows.
    """
    found = np.frombuffer(data, np.uint8)
    n_breaks = 0
    block_bytes = 2**18  # the whole range at once takes 0.15 us a row more, for memory
    for start in range(0, len(found) - 1, block_bytes):
        breaks = np.flatnonzero(found[start : min(start + block_bytes, len(found) - 1)] == _NEWLINE) + start
        n_breaks += len(breaks)
        before = found[breaks - 1]
        if len(breaks) and before[0] == _RETURN:
            before = np.where(before == _RETURN, found[breaks - 2], before)
        if (before != brackets[1]).any() or (found[breaks + 1] != brackets[0]).any():
            return False
    return n_breaks == n_rows - 1


def _to_list(line: bytes, keys: _Keys) -> bytes:
    """An object whose keys cannot be field names, as the list of its values. Raises KeyError without one of them, and
    for a key that is refused."""
    sources, extra_keys, refuses_others = keys
    row = _raw_row_decoder.decode(line)
    if refuses_others and not row.keys() <= {*sources, *extra_keys}:
        raise KeyError
    values = [row[source] for source in sources] + [row.get(name, _NULL) for name in extra_keys]
    return b"[" + b",".join(map(bytes, values)) + b"]"


def _explain(signature: Signature, keys: _Keys, line: bytes, number: int, error: str) -> BadRow:
    """The faults of a row that the decoder refused, described as in the error of a prediction."""
    sources = keys.sources
    try:
        row = parse_leniently(line)
    except (ValueError, RecursionError) as broken:
        return BadRow.not_json(number, broken)
    of_keys: list[Finding] = []
    values: list[tuple[Column, Any]] = []
    if isinstance(row, dict) and sources:
        of_keys = list(_faults_of_keys(row, keys))
        cells = zip(signature.columns, sources, strict=True)
        values = [(column, row[source]) for column, source in cells if source in row]
    elif isinstance(row, list) and not sources and len(row) == len(signature.columns):
        values = list(zip(signature.columns, row, strict=True))
    elif sources and not signature.is_named:
        expected = f"an object with the columns {list_names(sources)}"
        return BadRow(number, None, "wrong_type", f"expected {expected}", shown(row), expected)
    else:
        finding = signature.findings([row], limit=1)[0]
        return BadRow.of(number, None, finding)
    wrong = [(column, value) for column, value in values if fault_code(column, value) is not None]
    of_values = (finding for column, value in wrong for finding in column_findings(column, value, ""))
    findings = list(islice(chain(of_keys, of_values), MAX_FINDINGS))
    if not findings:
        return BadRow(number, None, "malformed", error)
    return BadRow.of_cells(number, findings, len(of_keys) + len(wrong))


def _faults_of_keys(row: dict[str, Any], keys: _Keys) -> Iterator[Finding]:
    known = {*keys.sources, *keys.extra}
    extra = [name for name in row if name not in known] if keys.refuses_others else []
    if extra:
        yield extra_columns_refusal("", extra)
    for source in keys.sources:
        if source not in row:
            short = short_name(source)
            yield Finding("", "missing_column", f"column {short!r} is missing", column=short)


def unchecked_array(values: list[Any], read_raw: Callable[[], list[str | None]]) -> Any:
    """An array of strings or of integers if all values are, and of their JSON otherwise (`pa.json_`).

    So a value is written the same wherever the file is split, whatever the types of the values around it.
    """
    types = {type(value) for value in values if value is not None}
    if not types:
        return pa.nulls(len(values))
    if types == {str}:
        return pa.array(values, pa.string())
    if types == {int} and all(INT64_MIN <= value <= INT64_MAX for value in values if value is not None):
        return pa.array(values, pa.int64())
    return pa.array(read_raw(), pa.json_(pa.string()))


def raw_values(name: str, lines: bytes) -> list[str | None]:
    """The JSON of each line's value; None for null and for a line without the key."""
    if is_field_name(name):
        values = [row.o for row in _raw_decoder(name).decode_lines(lines)]
    else:
        values = [row.get(name, _NULL) for row in _raw_row_decoder.decode_lines(lines)]
    # A row is one line, so no value holds a newline.
    return [None if raw == "null" else raw for raw in b"\n".join(values).decode().split("\n")] if values else []


@lru_cache(maxsize=16)
def _raw_decoder(name: str) -> msgspec.json.Decoder[Any]:
    row = msgspec.defstruct("Row", [("o", msgspec.Raw, _NULL)], rename={"o": name}, gc=False)
    return msgspec.json.Decoder(row)


def _parse_values(texts: list[str | None]) -> list[Any]:
    values: list[Any] = msgspec.json.decode(f"[{','.join(text or 'null' for text in texts)}]")
    return values


def json_as_text(values: Any) -> Any:
    """JSON values of `unchecked_array` as text, strings without their quotes. Any other array is returned as it is."""
    if not isinstance(values.type, pa.JsonType):
        return values
    texts = values.to_pylist()
    return pa.array([json.loads(text) if text and text[0] == '"' else text for text in texts], pa.string())
