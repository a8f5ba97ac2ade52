"""The names of an uploaded table's columns, as far as they can be told from its first lines.

What every worker would refuse (`worker.tables.splitting`) is refused here in the same words, before anything is
queued. Parquet is for the workers alone: its library would double the gateway's memory.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec

from queuecast.domain.errors import Finding, InvalidInputError, shortened
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.tables import doubled, other_separator

MAX_HEAD_CHARS = 1024 * 1024  # of a file of any size; beyond that the workers find out
TRIED_LINES = 100
MAX_COLUMNS = 40  # named in a refusal


def csv_header(path: Path) -> list[str]:
    """The names in the first line that is not blank. Raises InvalidInputError for a file that has none, or no rows."""
    with path.open("rb") as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        lines = _lines(text)
        try:
            names = next(filter(None, csv.reader(lines, strict=True)), None)
            has_rows = any(line.strip("\r\n") for line in lines)
            is_whole = text.read(1) == ""
        except (UnicodeDecodeError, csv.Error) as error:
            raise _refusal("not_csv", f"the file is not CSV in UTF-8: {error}") from None
    if names is None:
        raise _refusal(
            "empty", "the file is empty" if is_whole else f"its first {MAX_HEAD_CHARS:,} characters are blank"
        )
    if is_whole and not has_rows:
        raise _refusal("empty", "the file has a header and no rows")
    twice = doubled(names)
    if twice is not None:
        raise _refusal("doubled_column", twice)
    return names


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    left = MAX_HEAD_CHARS
    while left > 0 and (line := text.readline(left)):
        left -= len(line)
        yield line


def first_keys(path: Path) -> list[str]:
    """The keys of an NDJSON file's first object. Raises InvalidInputError."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        lines = islice(iter(lambda: file.readline(MAX_HEAD_CHARS), b""), TRIED_LINES)
        first = next((line for line in lines if line.strip(b"\r\n")), None)
    if first is None:
        raise _refusal("empty", "the file is empty")
    try:
        return list(msgspec.json.decode(first, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal("not_ndjson", f"the file's first line is no JSON object: {error}") from None


def feature_findings(names: Sequence[str], signature: Signature, others: Sequence[str] = ()) -> list[Finding]:
    """What keeps the model from finding its columns. others: what else is wanted of the file, and is no feature.

    An estimator that was fitted without names takes the columns in their order, unless all of its own names are there.
    """
    missing = [column.name for column in signature.columns if column.name not in names]
    if missing and signature.layout is Layout.ARRAY:
        found, expected = sum(name not in others for name in names), len(signature.columns)
        detail = (
            f"the file has {found} feature columns, expected {expected} (the model was fitted without column names)"
        )
        finding = Finding("/file_id", "wrong_length", detail, f"{found} feature columns", str(expected))
        return [] if found == expected else [finding]
    return [missing_column("/file_id", name) for name in missing]


def missing_column(pointer: str, name: str) -> Finding:
    return Finding(pointer, "missing_column", f"the file has no column {name!r}", column=name)


def misfit(findings: Sequence[Finding], names: Sequence[str], signature: Signature) -> InvalidInputError:
    """names: the columns that the file has. The first finding has them, and those of the model, as lists."""
    detail = f"{findings[0].detail}; it has {', '.join(names[:MAX_COLUMNS])}"
    separator = other_separator(names)
    if separator is not None:
        detail += f": columns are separated by commas, not by {separator!r}"
    first = replace(
        findings[0],
        columns=tuple(shortened(name) for name in names[:MAX_COLUMNS]),
        expected_columns=tuple(column.name for column in signature.columns[:MAX_COLUMNS]),
    )
    return InvalidInputError(detail, (first, *findings[1:]))


def _refusal(code: str, detail: str) -> InvalidInputError:
    return InvalidInputError(detail, (Finding("/file_id", code, detail),))
