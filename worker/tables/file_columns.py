"""Finds the columns of a model in a file, by the rules of `queuecast.tables.column_names`."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from queuecast.domain.columns.extra_columns import ExtraColumns, IgnoredColumns
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.signature import Layout, Signature
from queuecast.tables.column_names import (
    FIRST_LINES,
    by_place,
    columns_refused,
    duplicate_names,
    first_lines,
    ignored_columns,
    missing_column,
    missing_columns,
    not_csv,
    other_order,
    read_csv_names,
    source_columns,
)
from queuecast.tables.json_values import NOT_JSON
from worker.tables.id_values import can_be_id
from worker.tables.parquet_files import open_parquet, require_types, value_type
from worker.tables.record_scanner import MAX_RECORD_BYTES, header_range
from worker.tables.without_columns.text_lines import has_bare_texts


def column_names(path: Path, fmt: FileFormat) -> list[str]:
    """The names of the columns. NDJSON has those of its first object, and none if its rows are lists.

    Raises InvalidInputError for a file without a header, and for a name that occurs twice.
    """
    if fmt is FileFormat.PARQUET:
        with open_parquet(path) as parquet:
            names = list(parquet.schema_arrow.names)
    else:
        names = _csv_names(path) if fmt is FileFormat.CSV else _first_keys(path)
    require_unique(names)
    return names


def require_unique(names: list[str]) -> None:
    duplicates = duplicate_names(names)
    if duplicates:
        raise first_findings(duplicates).refusal()


def require_names(names: list[str], extra: Sequence[str]) -> None:
    """Raises InvalidInputError for columns that are not features and that the file does not have."""
    missing = [missing_column(name) for name in extra if name not in names]
    if missing:
        raise first_findings(missing).refusal()


def find_columns(
    names: list[str], signature: Signature, extra: Sequence[str] = (), *, is_ordered: bool = True
) -> list[str]:
    """The file's name for each column of the signature. extra: columns that are not features, such as an id.

    is_ordered: whether the names have an order, as in a table.
    Raises InvalidInputError for columns that the file does not have.
    """
    findings = [missing_column(name) for name in extra if name not in names]
    findings += missing_columns(names, signature, extra)
    if findings:
        raise columns_refused(findings, names, signature)
    sources = source_columns(names, signature, extra)
    finding = other_order(names, sources, signature) if is_ordered else None
    if finding is not None:
        raise InvalidInputError(finding.detail, (finding,))
    return sources


def find_keys(path: Path, signature: Signature, extra: Sequence[str] = ()) -> list[str]:
    """The key of an NDJSON object for each column of the signature; empty if the rows are lists or texts.

    The first row decides for an estimator that takes columns by their place. Any other estimator has its own names, and
    a row without one of them is a bad row.
    """
    if signature.is_named:
        return [column.name for column in signature.columns]
    wanted = [column.name for column in signature.columns]
    are_texts = signature.layout is Layout.TEXT and has_bare_texts(path)
    names = [] if are_texts else column_names(path, FileFormat.NDJSON)
    if not names and extra:
        kind = "texts" if are_texts else "lists"
        raise InvalidInputError(f"the rows are {kind} without names, so there is no column {extra[0]!r}")
    if names and signature.takes_lists and not signature.goes_by_order and not by_place(names, wanted):
        return wanted
    known = [*names, *(name for name in extra if name not in names)]
    return find_columns(known, signature, extra, is_ordered=False) if names else []


def require_columns(path: Path, fmt: FileFormat, signature: Signature, id_column: str | None = None) -> None:
    """Raises InvalidInputError for a column that the file does not have, or has in a type that cannot be read."""
    extra = [id_column] if id_column is not None else []
    signature = signature.of_read_columns()
    if fmt is FileFormat.NDJSON:
        keys = find_keys(path, signature, extra)
        if keys or signature.layout is not Layout.TEXT:
            require_first_keys(path, [*keys, *extra], signature)
        return
    sources = find_columns(column_names(path, fmt), signature, extra)
    if fmt is FileFormat.PARQUET:
        require_types(path, dict(zip(sources, signature.columns, strict=True)), id_column)


def ignored_in_parquet(
    path: Path, signature: Signature, choice: ExtraColumns, others: Sequence[str]
) -> IgnoredColumns | None:
    """The columns of a Parquet file that the model does not have; the gateway reads those of other formats.

    Raises InvalidInputError if there are any and the caller refuses them.
    """
    return ignored_columns(column_names(path, FileFormat.PARQUET), signature, choice, others)


def comparable_columns(path: Path, fmt: FileFormat, names: Sequence[str]) -> list[str]:
    """Those of the names that the file has, in a type whose values can be compared."""
    present = set(column_names(path, fmt)) if names else set()
    found = [name for name in names if name in present]
    if fmt is FileFormat.PARQUET and found:
        with open_parquet(path) as parquet:
            schema = parquet.schema_arrow
        found = [name for name in found if can_be_id(value_type(schema.field(name).type))]
    return found


def require_first_keys(path: Path, wanted: Sequence[str], signature: Signature) -> None:
    """Refuses a file in which all the first rows lack a key, because most likely every row lacks it."""
    seen: dict[str, None] = {}
    if not wanted:
        return
    for row in _first_rows(path):
        seen |= dict.fromkeys(row) if isinstance(row, dict) else {}
        if seen.keys() >= set(wanted):
            return
    missing = [missing_column(name) for name in wanted if name not in seen]
    raise columns_refused(missing, list(seen), signature)


def _csv_names(path: Path) -> list[str]:
    start, end = header_range(path)
    with path.open("rb") as file:
        file.seek(start)
        header = file.read(end - start).decode()
    try:
        return read_csv_names([header]) or []
    except csv.Error as error:
        raise InvalidInputError(not_csv(error).detail) from None


def _first_keys(path: Path) -> list[str]:
    row = next(_first_rows(path))
    return list(row) if isinstance(row, dict) else []


def _first_rows(path: Path) -> Iterator[dict[str, Any] | list[Any]]:
    """The first lines that are rows. Raises InvalidInputError if there are none."""
    has_any = False
    for line in first_lines(path, MAX_RECORD_BYTES):
        try:
            row = msgspec.json.decode(line)
        except NOT_JSON:
            continue
        if isinstance(row, dict | list):
            has_any = True
            yield row
    if not has_any:
        raise InvalidInputError(f"none of the file's first {FIRST_LINES} lines is a JSON object; expected one per line")
