"""The head of a table: reads the names of its columns, and compares them with the columns that a model takes.

Every rule about names and every sentence about them is here. The gateway refuses a file by them before anything is
queued, the worker refuses one that the gateway could not read (Parquet, a long header), the client one before it is
sent. A finding has no place yet; the gateway adds the field of the request that it points at.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from queuecast.domain.errors import Finding, shortened
from queuecast.domain.signature import Layout, Signature

SHOWN_NAMES = 40  # in an error
FIRST_LINES = 100


def read_csv_names(lines: Iterable[str]) -> list[str] | None:
    """The cells of the first record that is not blank; None without one. Raises csv.Error."""
    return next(filter(None, csv.reader(lines, strict=True)), None)


def not_csv(error: csv.Error | UnicodeDecodeError) -> Finding:
    return Finding("", "not_csv", f"the file is not CSV in UTF-8: {error}")


def first_lines(path: Path, max_line_bytes: int) -> Iterator[bytes]:
    """The first lines of an NDJSON file, without a byte order mark. A longer line comes in pieces."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield from islice(iter(lambda: file.readline(max_line_bytes), b""), FIRST_LINES)


def duplicate_name(names: Sequence[str]) -> Finding | None:
    """A column that would hide the values of another one of the same name."""
    counts = Counter(names)
    if len(counts) == len(names):
        return None
    name = min(name for name, count in counts.items() if count > 1)
    detail = f"the column {shortened(repr(name))} is in the file more than once"
    return Finding("", "doubled_column", detail, column=name)


def missing_column(name: str) -> Finding:
    return Finding("", "missing_column", f"the file has no column {shortened(repr(name))}", column=name)


def missing_columns(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[Finding]:
    """Why the file has no values for the columns of the signature; empty if it has them.

    extra: columns of the file that are not features, such as an id or a target.
    """
    wanted = [column.name for column in signature.columns]
    if signature.layout is Layout.FRAME:
        known = set(names)
        return [missing_column(name) for name in wanted if name not in known]
    mismatch = wrong_count(named_or_in_order(names, wanted, extra), wanted)
    return [] if mismatch is None else [mismatch]


def source_columns(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[str]:
    """The file's name for each column of a signature for which `missing_columns` finds nothing."""
    wanted = [column.name for column in signature.columns]
    return wanted if signature.layout is Layout.FRAME else named_or_in_order(names, wanted, extra)


def named_or_in_order(names: Sequence[str], wanted: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """The columns for an estimator that was fitted without names: the file's features in their order, unless the file
    has all the names that the signature gives them (x0, x1, ...)."""
    if set(wanted) <= set(names):
        return list(wanted)
    others = set(extra)
    return [name for name in names if name not in others]


def wrong_count(features: Sequence[str], wanted: Sequence[str]) -> Finding | None:
    """Another number of features than an estimator takes that was fitted without column names."""
    if len(features) == len(wanted):
        return None
    found = f"{len(features)} feature columns"
    detail = (
        f"the file has {found}, expected {len(wanted)} (the model was fitted without column names), or the names "
        f"{list_names(wanted)}"
    )
    return Finding("", "wrong_length", detail, found, str(len(wanted)))


def explain(finding: Finding, names: Sequence[str]) -> str:
    """The finding's sentence, with the names that the file has instead."""
    return f"{finding.detail}; it has {list_names(names)}{separator_hint(names)}"


def separator_hint(names: Sequence[str]) -> str:
    """A file with another separator than the comma seems to have one column, whose name is the whole header."""
    separator = wrong_separator(names)
    return "" if separator is None else f"; separate columns with commas, not with {separator!r}"


def wrong_separator(names: Sequence[str]) -> str | None:
    return next((separator for separator in (";", "\t") if len(names) == 1 and separator in names[0]), None)


def list_names(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN_NAMES else ""
    return (", ".join(map(shortened, names[:SHOWN_NAMES])) or "none") + more
