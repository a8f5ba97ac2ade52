"""Reads the column names of an uploaded table, and refuses a table that the workers would refuse.

The rules are those of `queuecast.tables.column_names`. Only the workers read Parquet, because its library would double
the gateway's memory.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from queuecast.domain.errors import Finding, InvalidInputError
from queuecast.domain.findings.bounds import and_more, first_findings
from queuecast.domain.signature import Layout, Signature
from queuecast.tables.column_names import (
    duplicate_names,
    first_lines,
    missing_column,
    missing_columns,
    not_csv,
    read_csv_names,
)
from queuecast.tables.json_values import NOT_JSON
from queuecast.tables.object_values import untyped_columns

MAX_HEAD_CHARS = 2**20  # of a file of any size; a worker checks a longer head


def csv_header(path: Path) -> list[str]:
    """The names in the first record that is not blank. Raises InvalidInputError without names or rows."""
    with path.open("rb") as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        lines = _head_lines(text)
        try:
            names = read_csv_names(lines)
            has_rows = any(line.strip("\r\n") for line in lines)
            is_whole = text.read(1) == ""
        except (UnicodeDecodeError, csv.Error) as error:
            raise _refusal(not_csv(error)) from None
    if names is None:
        raise _empty("the file is empty" if is_whole else f"the file's first {MAX_HEAD_CHARS:,} characters are blank")
    if is_whole and not has_rows:
        raise _empty("the file has a header and no rows")
    duplicates = duplicate_names(names)
    if duplicates:
        raise _refusal(*duplicates)
    return names


def ndjson_keys(path: Path) -> list[str]:
    """The keys of an NDJSON file's first object. Raises InvalidInputError."""
    first = next((line for line in first_lines(path, MAX_HEAD_CHARS) if line.strip(b"\r\n")), None)
    if first is None:
        raise _empty("the file is empty")
    try:
        return list(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
    except NOT_JSON as error:
        raise _refusal(Finding("", "not_ndjson", f"the file's first line is not a JSON object: {error}")) from None


def names_in_ndjson(path: Path) -> list[str]:
    """The keys of the objects among an NDJSON file's first lines. A worker reports lines that are no row."""
    names: dict[str, None] = {}
    left = MAX_HEAD_CHARS
    for line in first_lines(path, MAX_HEAD_CHARS):
        left -= len(line)
        if left < 0:
            break
        with suppress(*NOT_JSON):
            names |= dict.fromkeys(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
    return list(names)


def feature_findings(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[Finding]:
    """Why the file has no values for the model's columns. extra: its columns that are not features, such as an id."""
    return [replace(finding, pointer="/file_id") for finding in missing_columns(names, signature, extra)]


def csv_findings(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[Finding]:
    """As `feature_findings`, and the columns whose cells could mean words or numbers, where the rows are dicts."""
    untyped = untyped_columns(names, signature.objects, extra) if signature.layout is Layout.OBJECT else ()
    return feature_findings(names, signature, extra) + [replace(finding, pointer="/file_id") for finding in untyped]


def missing_column_at(pointer: str, name: str) -> Finding:
    """pointer: the field of the request that names the column."""
    return replace(missing_column(name), pointer=pointer)


def _head_lines(text: io.TextIOWrapper) -> Iterator[str]:
    left = MAX_HEAD_CHARS
    while left > 0 and (line := text.readline(left)):
        left -= len(line)
        yield line


def _empty(detail: str) -> InvalidInputError:
    return _refusal(Finding("", "empty", detail))


def _refusal(*found: Finding) -> InvalidInputError:
    findings = first_findings(replace(finding, pointer="/file_id") for finding in found)
    detail = findings.first[0].detail + and_more(findings.total - 1)
    return InvalidInputError(detail, findings.first, total=findings.total)
