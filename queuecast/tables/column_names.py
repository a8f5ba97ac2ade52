"""The head of a table: reads the names of its columns, and compares them with the columns that a model takes.

Every rule about names and every sentence about them is here. The gateway refuses a file by them before anything is
queued, the worker refuses one that the gateway could not read (Parquet, a long header), the client one before it is
sent. A finding has no place yet; the gateway adds the field of the request that it points at.
"""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns, extra_columns_refusal
from queuecast.domain.columns.labels import numbered
from queuecast.domain.errors import Finding, InvalidInputError, short_name
from queuecast.domain.findings.bounds import SHOWN_NAMES, and_more, first_findings, list_names
from queuecast.domain.findings.nearest_names import with_nearest
from queuecast.domain.signature import Layout, Signature
from queuecast.tables.object_values import key_columns
from queuecast.tables.text_column import lacks_text_column, text_column

FIRST_LINES = 100
FIRST_NAMELESS = "Unnamed: 0"
_PARQUET_INDEX = re.compile(r"__index_level_\d+__")


def read_csv_names(lines: Iterable[str]) -> list[str] | None:
    """The names in the first record that is not blank; None without one. Raises csv.Error."""
    cells = next(filter(None, csv.reader(lines, strict=True)), None)
    return None if cells is None else header_names(cells)


def header_names(cells: Sequence[str]) -> list[str]:
    """The names of a header. An empty cell gets the name that `pandas.read_csv` gives it: "Unnamed: 0" to the first."""
    return [cell or f"Unnamed: {place}" for place, cell in enumerate(cells)]


def not_csv(error: csv.Error | UnicodeDecodeError) -> Finding:
    return Finding("", "not_csv", f"the file is not CSV in UTF-8: {error}")


def first_lines(path: Path, max_line_bytes: int) -> Iterator[bytes]:
    """The first lines of an NDJSON file, without a byte order mark. A longer line comes in pieces."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield from islice(iter(lambda: file.readline(max_line_bytes), b""), FIRST_LINES)


def duplicate_names(names: Sequence[str]) -> list[Finding]:
    """The columns that would hide the values of another one of the same name."""
    counts = Counter(names)
    if len(counts) == len(names):
        return []
    return [_duplicate(name) for name in sorted(name for name, count in counts.items() if count > 1)]


def _duplicate(name: str) -> Finding:
    short = short_name(name)
    return Finding("", "doubled_column", f"the column {short!r} is in the file more than once", column=short)


def missing_column(name: str) -> Finding:
    short = short_name(name)
    return Finding("", "missing_column", f"the file has no column {short!r}", column=short)


def missing_columns(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[Finding]:
    """Why the file has no values for the columns of the signature; empty if it has them.

    extra: columns of the file that are not features, such as an id or a target.
    """
    wanted = [column.name for column in signature.read_columns]
    if signature.layout is Layout.TEXT:
        is_known = text_column(names, wanted[0], extra) is not None
        return [] if is_known else [lacks_text_column(wanted[0])]
    if signature.layout is Layout.OBJECT:
        return []
    if not signature.goes_by_order:
        if signature.takes_lists and by_place(names, wanted):
            return []
        known = set(names)
        return [missing_column(name) for name in wanted if name not in known and nameless_column(name, names) is None]
    mismatch = wrong_features(named_or_in_order(names, wanted, extra), names, wanted)
    return [] if mismatch is None else [mismatch]


def source_columns(names: Sequence[str], signature: Signature, extra: Sequence[str] = ()) -> list[str]:
    """The file's name for each column of a signature for which `missing_columns` finds nothing."""
    wanted = [column.name for column in signature.read_columns]
    if signature.layout is Layout.TEXT:
        return [text_column(names, wanted[0], extra) or wanted[0]]
    if signature.layout is Layout.OBJECT:
        return key_columns(names, signature.objects, extra)
    if signature.goes_by_order:
        return named_or_in_order(names, wanted, extra)
    if signature.takes_lists and by_place(names, wanted):
        return numbered(len(wanted))
    return [nameless_column(name, names) or name for name in wanted]


def by_place(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether a file has x0, x1, ... instead of the names of a model whose rows may be lists."""
    found = set(names)
    return not found.issuperset(wanted) and found.issuperset(numbered(len(wanted)))


def other_order(names: Sequence[str], sources: Sequence[str], signature: Signature) -> Finding | None:
    """The names of the frame are no text, so scikit-learn takes its columns by their place: those of a frame in another
    order would be others there than here."""
    if signature.labels is None:
        return None
    places = {name: place for place, name in enumerate(names)}
    found = [places[name] for name in sources]
    if found == sorted(found):
        return None
    detail = (
        f"the columns have another order than at the fit, and scikit-learn takes columns whose names are not all text "
        f"by their place; expected the order {list_names(sources)}"
    )
    return Finding("", "other_order", detail)


def nameless_column(name: str, names: Sequence[str]) -> str | None:
    """The only nameless column of a CSV file, if the model has a column whose name is empty."""
    if name or "" in names:
        return None
    nameless = [found for place, found in enumerate(names) if found == f"Unnamed: {place}"]
    return nameless[0] if len(nameless) == 1 else None


def ignored_columns(
    names: Sequence[str], signature: Signature, choice: ExtraColumns, others: Sequence[str] = (), pointer: str = ""
) -> IgnoredColumns | None:
    """The columns of the file that the model does not have. others: columns that the request names.

    Raises InvalidInputError if there are any and the caller refuses them.
    """
    unread = (column.name for column in signature.columns if not column.read)
    used = {*source_columns(names, signature, others), *unread, *others}
    extra = [name for name in names if name not in used]
    if extra and choice is ExtraColumns.REFUSE:
        finding = extra_columns_refusal(pointer, extra)
        raise InvalidInputError(f"the file does not fit the model: {finding.detail}", (finding,))
    return IgnoredColumns.of(extra)


def named_or_in_order(names: Sequence[str], wanted: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """The columns for an estimator that was fitted without names: the file's features in their order, unless the file
    has all the names that the signature gives them, or x0, x1, ..."""
    if set(wanted) <= set(names):
        return list(wanted)
    if by_place(names, wanted):
        return numbered(len(wanted))
    others = set(extra)
    return [name for name in names if name not in others]


def wrong_features(features: Sequence[str], names: Sequence[str], wanted: Sequence[str]) -> Finding | None:
    """Why the columns of a file are not those of an estimator that was fitted without column names: one of them is the
    index of a frame, which would move all others by one, or they are more or fewer.

    features: those of the file's columns `names` that are neither an id nor a target.
    """
    if features in (wanted, numbered(len(wanted))):
        return None
    index = next((name for name in features if _PARQUET_INDEX.fullmatch(name)), None)
    if index is None and features[:1] == [FIRST_NAMELESS] == names[:1]:
        index = FIRST_NAMELESS
    if index is not None:
        found = "first column has no name" if index == FIRST_NAMELESS else f"column {index!r} is the index of a frame"
        way_out = "to_csv(index=False)" if index == FIRST_NAMELESS else "to_parquet(index=False)"
        detail = (
            f"the file's {found}: pandas writes an index so. The model was fitted without column names, and an index "
            f"would take the place of its first column; leave it out with {way_out}, or name the model's columns "
            f"{list_names(wanted)}"
        )
        return Finding("", "index_column", detail, column=index)
    if len(features) == len(wanted):
        return None
    found = f"{len(features)} feature columns"
    detail = (
        f"the file has {found}, expected {len(wanted)} (the model was fitted without column names), or the names "
        f"{list_names(wanted)}"
    )
    return Finding("", "wrong_length", detail, found, str(len(wanted)))


def columns_refused(found: Iterable[Finding], names: Sequence[str], signature: Signature) -> InvalidInputError:
    """names: the columns that the file has. The first finding has them, and those of the model, as lists."""
    expected = signature.objects.keys if signature.layout is Layout.OBJECT else signature.columns
    known = {column.name for column in expected}
    findings = with_nearest(first_findings(found), known, (name for name in names if name not in known))
    first = replace(
        findings.first[0],
        columns=tuple(map(short_name, names[:SHOWN_NAMES])),
        expected_columns=tuple(short_name(column.name) for column in expected[:SHOWN_NAMES]),
    )
    detail = f"{first.detail}{and_more(findings.total - 1)}; it has {list_names(names)}{separator_hint(names)}"
    return InvalidInputError(detail, (first, *findings.first[1:]), total=findings.total)


def separator_hint(names: Sequence[str]) -> str:
    """A file with another separator than the comma seems to have one column, whose name is the whole header."""
    separator = wrong_separator(names)
    return "" if separator is None else f"; separate columns with commas, not with {separator!r}"


def wrong_separator(names: Sequence[str]) -> str | None:
    return next((separator for separator in (";", "\t") if len(names) == 1 and separator in names[0]), None)
