"""One cut of an NDJSON file, decoded into the signature's types in one pass; only lines that fail are looked at alone.

The rule for a value is that of a prediction's rows (`queuecast.domain.signature`): `1.0` is a whole number, and a
string stays a string whatever it says. Keys that the signature does not name are passed over.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from queuecast.domain.chunking import FileRange
from queuecast.domain.signature import (
    INT64_MAX,
    INT64_MIN,
    Column,
    Layout,
    Signature,
    column_findings,
)
from queuecast.tables.json_values import NOT_JSON, VALUE_TYPES, is_field_name, parse_leniently
from worker.tables.columns import ARROW_TYPES, check_column
from worker.tables.file_columns import find_keys
from worker.tables.rows import BadRow, Rows

_NEWLINE, _RETURN = 10, 13
_BLOCK_BYTES = 2**18
_NULL = msgspec.Raw(b"null")
_raw_rows = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_ndjson_rows(path: Path, signature: Signature, cut: FileRange, others: Sequence[str] = ()) -> Rows:
    """others: keys that are wanted as they are (`_loose_array`)."""
    sources = tuple(find_keys(path, signature, others))
    unnamed = tuple(name for name in others if name not in sources)
    with path.open("rb") as file:
        file.seek(cut.start)
        data = file.read(cut.end - cut.start)
    rows, broken, good = _decoded(signature, sources, unnamed, data, cut)
    columns = []
    for index, column in enumerate(signature.columns):
        values = pa.array(list(map(attrgetter(f"f{index}"), rows)), ARROW_TYPES[column.type])
        columns.append(check_column(column, values, None, values))
    numbers = np.arange(cut.first_row, cut.first_row + cut.n_rows, dtype=np.int64)
    if broken:
        numbers = np.delete(numbers, [bad.row - cut.first_row for bad in broken])
    found = {
        name: _loose_array(list(map(attrgetter(f"o{at}"), rows)), partial(_raws, name, good))
        for at, name in enumerate(unnamed)
    }
    for name in (each for each in others if each in sources):
        raws = _raws(name, good)
        found[name] = _loose_array(_plain(raws), raws.copy)
    return Rows(columns, found, numbers, broken)


@lru_cache(maxsize=16)
def _decoder(
    signature: Signature, sources: tuple[str, ...], unnamed: tuple[str, ...], *, is_list: bool
) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        (f"f{index}", VALUE_TYPES[column.type] | None if column.nullable else VALUE_TYPES[column.type])
        for index, column in enumerate(signature.columns)
    ]
    fields += [(f"o{index}", Any, None) for index in range(len(unnamed))]
    if is_list:
        row = msgspec.defstruct("Row", fields, array_like=True, forbid_unknown_fields=True, gc=False)
    else:
        renamed = {f"f{index}": source for index, source in enumerate(sources)}
        renamed |= {f"o{index}": name for index, name in enumerate(unnamed)}
        row = msgspec.defstruct("Row", fields, rename=renamed, gc=False)
    return msgspec.json.Decoder(row)


def _decoded(
    signature: Signature, sources: tuple[str, ...], unnamed: tuple[str, ...], data: bytes, cut: FileRange
) -> tuple[list[Any], list[BadRow], bytes]:
    """The good rows, the others, and the lines of the good ones. unnamed: other keys that are none of the sources."""
    is_escaped = not all(map(is_field_name, (*sources, *unnamed)))
    decoder = _decoder(signature, sources, unnamed, is_list=not sources or is_escaped)
    if not is_escaped and _has_a_row_a_line(data, cut.n_rows, b"{}" if sources else b"[]"):
        try:
            rows = decoder.decode_lines(data)
            if len(rows) == cut.n_rows:
                return rows, [], data
        except NOT_JSON:
            pass
    rows, broken, good = [], [], []
    lines = [line for line in data.split(b"\n") if line not in (b"", b"\r")]
    for number, line in enumerate(lines, start=cut.first_row):
        try:
            rows.append(decoder.decode(_as_list(line, sources, unnamed) if is_escaped else line))
            good.append(line)
        except (msgspec.ValidationError, KeyError) as error:
            misfit = _misfit(signature, sources, line, number, str(error))
            try:
                # 3.0 is 3 to the rule, and not to the decoder.
                mended = signature.with_whole_numbers(b"[%b]" % line, sources) if misfit.code == "malformed" else None
                fitting = mended[1:-1] if mended else line
                rows.append(decoder.decode(_as_list(fitting, sources, unnamed) if is_escaped else fitting))
                good.append(line)
            except (*NOT_JSON, KeyError):
                broken.append(misfit)
        except NOT_JSON as error:
            broken.append(BadRow(number, None, "malformed", f"the line is not JSON in UTF-8: {error}"))
    return rows, broken, b"\n".join(good)


def _has_a_row_a_line(data: bytes, n_rows: int, brackets: bytes) -> bool:
    """Whether every line but the first begins as a row does and every one but the last ends so.

    Then no row reaches over lines, for within one a closing bracket is never followed by an opening one; and when there
    are as many rows as lines, none has two. The decoder itself sees no lines: it takes `{}{}` for two.
    """
    found = np.frombuffer(data, np.uint8)
    n_breaks = 0
    for start in range(0, len(found) - 1, _BLOCK_BYTES):  # all at once takes 0.15 us a row more, for memory
        breaks = np.flatnonzero(found[start : min(start + _BLOCK_BYTES, len(found) - 1)] == _NEWLINE) + start
        n_breaks += len(breaks)
        before = found[breaks - 1]
        if len(breaks) and before[0] == _RETURN:
            before = np.where(before == _RETURN, found[breaks - 2], before)
        if (before != brackets[1]).any() or (found[breaks + 1] != brackets[0]).any():
            return False
    return n_breaks == n_rows - 1


def _as_list(line: bytes, sources: tuple[str, ...], unnamed: tuple[str, ...]) -> bytes:
    """An object whose keys cannot be fields, as the list of its values. Raises KeyError for a column that it lacks."""
    row = _raw_rows.decode(line)
    values = [row[source] for source in sources] + [row.get(name, _NULL) for name in unnamed]
    return b"[" + b",".join(map(bytes, values)) + b"]"


def _misfit(signature: Signature, sources: tuple[str, ...], line: bytes, number: int, error: str) -> BadRow:
    """The first thing that is wrong with a row that the decoder refused, in the words of a prediction's refusal."""
    try:
        row = parse_leniently(line)
    except (ValueError, RecursionError) as broken:
        return BadRow(number, None, "malformed", f"the line is not JSON in UTF-8: {broken}")
    wanted: list[tuple[Column, Any]] = []
    if isinstance(row, dict) and sources:
        for column, source in zip(signature.columns, sources, strict=True):
            if source not in row:
                return BadRow(number, source, "missing_column", f"column {source!r} is missing")
            wanted.append((column, row[source]))
    elif isinstance(row, list) and not sources and len(row) == len(signature.columns):
        wanted = list(zip(signature.columns, row, strict=True))
    elif sources and signature.layout is Layout.ARRAY:
        return BadRow(number, None, "wrong_type", f"expected an object with the columns {', '.join(sources)}")
    else:
        finding = signature.findings([row], limit=1)[0]
        return BadRow(number, None, finding.code, finding.detail)
    for column, value in wanted:
        for finding in column_findings(column, value, ""):
            return BadRow(number, column.name, finding.code, finding.detail)
    return BadRow(number, None, "malformed", error)


def _loose_array(values: list[Any], raws: Callable[[], list[str | None]]) -> Any:
    """Whole numbers or words where all are, else each as the JSON that it was (`pa.json_`): what becomes of a value
    must not depend on those beside it, for these are others where the file is cut elsewhere."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pa.nulls(len(values))
    if kinds == {str}:
        return pa.array(values, pa.string())
    if kinds == {int} and all(INT64_MIN <= value <= INT64_MAX for value in values if value is not None):
        return pa.array(values, pa.int64())
    return pa.array(raws(), pa.json_(pa.string()))


def _raws(name: str, good: bytes) -> list[str | None]:
    if is_field_name(name):
        found = [row.o for row in _raw_decoder(name).decode_lines(good)]
    else:
        found = [row.get(name, _NULL) for row in _raw_rows.decode_lines(good)]
    # A value has no newline, for its row is a line.
    return [None if raw == "null" else raw for raw in b"\n".join(found).decode().split("\n")] if found else []


@lru_cache(maxsize=16)
def _raw_decoder(name: str) -> msgspec.json.Decoder[Any]:
    row = msgspec.defstruct("Row", [("o", msgspec.Raw, _NULL)], rename={"o": name}, gc=False)
    return msgspec.json.Decoder(row)


def _plain(raws: list[str | None]) -> list[Any]:
    plain: list[Any] = msgspec.json.decode(f"[{','.join(raw or 'null' for raw in raws)}]")
    return plain


def json_as_text(values: Any) -> Any:
    """What `_loose_array` has as JSON as the text of it, a string without its quotes; any other array as it is."""
    if not isinstance(values.type, pa.JsonType):
        return values
    raws = values.to_pylist()
    return pa.array([json.loads(raw) if raw and raw[0] == '"' else raw for raw in raws], pa.string())
