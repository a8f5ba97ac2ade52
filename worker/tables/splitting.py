"""Cuts a table into chunks that can be read alone, and knows the names of its columns.

The cutting is one pass over the file that keeps nothing of it. Rows are counted from 1; a header and blank lines
(`worker.tables.record_scanner`) are no rows.
"""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from queuecast.domain.batch import FileFormat
from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError, shortened
from queuecast.domain.signature import Layout, Signature
from queuecast.domain.tables import doubled
from worker.tables.parquet_files import opened, require_types, row_groups
from worker.tables.record_scanner import BYTE_ORDER_MARK, RecordScanner, first_record

_SHOWN_NAMES = 30
_TRIED_LINES = 100


def split_file(path: Path, fmt: FileFormat, max_rows: int, max_bytes: int) -> Iterator[FileRange]:
    """Every row of the file once, in order. A row longer than `max_bytes` is a cut of its own.

    Raises InvalidInputError for a file without rows, and for one that cannot be taken apart (`RecordScan`).
    """
    is_parquet = fmt is FileFormat.PARQUET
    found = _row_cuts(path, max_rows, max_bytes) if is_parquet else _byte_cuts(path, fmt, max_rows, max_bytes)
    index = 0
    for index, (first_row, n_rows, start, end) in enumerate(found, start=1):
        yield FileRange(index - 1, first_row, n_rows, start, end)
    if index == 0:
        head = "a header and " if fmt is FileFormat.CSV else ""
        raise InvalidInputError(f"the file has {head}no rows")


def header(path: Path, fmt: FileFormat) -> list[str]:
    """The names of the columns; of NDJSON those of the first object, and none where its rows are lists.

    Raises InvalidInputError for a file without, and for a name that is there twice.
    """
    if fmt is FileFormat.PARQUET:
        with opened(path) as parquet:
            names = list(parquet.schema_arrow.names)
    else:
        names = _csv_header(path) if fmt is FileFormat.CSV else _first_keys(path)
    require_once(names)
    return names


def require_once(names: list[str]) -> None:
    twice = doubled(names)
    if twice is not None:
        raise InvalidInputError(twice)


def source_names(names: list[str], signature: Signature, others: Sequence[str] = ()) -> list[str]:
    """The file's name for each column of the signature. others: what else is wanted of the file, such as an id.

    An estimator that was fitted without names takes the columns in their order, where the file does not use the names
    that the signature gives them (x0, x1, ...). Raises InvalidInputError.
    """
    wanted = [column.name for column in signature.columns]
    known = set(names)
    missing = next((name for name in wanted if name not in known), None)
    if missing is not None and signature.layout is Layout.FRAME:
        raise _lacks(missing, names)
    for name in others:
        if name not in known:
            raise _lacks(name, names)
    if missing is None:
        return wanted
    in_order = [name for name in names if name not in others]
    if len(in_order) != len(wanted):
        raise InvalidInputError(
            f"the file has {len(in_order)} feature columns, expected {len(wanted)} (the model was fitted without "
            f"column names), or the names {_listed(wanted)}"
        )
    return in_order


def line_keys(path: Path, signature: Signature, others: Sequence[str] = ()) -> list[str]:
    """The key of an NDJSON object for each column of the signature, and none where the rows are lists.

    The first line decides only for an estimator that was fitted without names. For any other a line may lack what the
    line before it has, and is then a bad row of its own.
    """
    if signature.layout is Layout.FRAME:
        return [column.name for column in signature.columns]
    names = header(path, FileFormat.NDJSON)
    if not names and others:
        raise InvalidInputError(f"the rows are lists without names, so there is no column {others[0]!r}")
    return source_names([*names, *(each for each in others if each not in names)], signature, others) if names else []


def require_columns(path: Path, fmt: FileFormat, signature: Signature, id_column: str | None = None) -> None:
    """Raises InvalidInputError that says which column the file lacks, or has in a type that cannot be read."""
    others = [id_column] if id_column is not None else []
    if fmt is FileFormat.NDJSON:
        _require_keys(path, [*line_keys(path, signature, others), *others])
        return
    sources = source_names(header(path, fmt), signature, others)
    if fmt is FileFormat.PARQUET:
        require_types(path, dict(zip(sources, signature.columns, strict=True)), id_column)


def _require_keys(path: Path, wanted: list[str]) -> None:
    """Refuses a file whose first rows all lack a key: most likely every row does."""
    seen: dict[str, None] = {}
    for row in _first_rows(path):
        seen |= dict.fromkeys(row) if isinstance(row, dict) else {}
        if seen.keys() >= set(wanted):
            return
    raise _lacks(next(name for name in wanted if name not in seen), list(seen))


def _csv_header_place(path: Path) -> tuple[int, int]:
    begin, end = first_record(path)
    if begin == end:
        raise InvalidInputError("the file is empty")
    return begin, end


def _csv_header(path: Path) -> list[str]:
    begin, end = _csv_header_place(path)
    with path.open("rb") as file:
        file.seek(begin)
        line = file.read(end - begin)
    try:
        return next(csv.reader([line.decode()], strict=True))
    except csv.Error as error:
        raise InvalidInputError(f"the file's header cannot be read as CSV: {error}") from None


def _first_keys(path: Path) -> list[str]:
    row = next(_first_rows(path))
    return list(row) if isinstance(row, dict) else []


def _first_rows(path: Path) -> Iterator[dict[str, Any] | list[Any]]:
    """Those of the first lines that are rows. Raises InvalidInputError where none is."""
    has_any = False
    with path.open("rb") as file:
        if file.read(len(BYTE_ORDER_MARK)) != BYTE_ORDER_MARK:
            file.seek(0)
        for line in islice(iter(lambda: file.readline(2**23), b""), _TRIED_LINES):
            try:
                row = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if isinstance(row, dict | list):
                has_any = True
                yield row
    if not has_any:
        raise InvalidInputError(f"none of the file's first {_TRIED_LINES} lines is a JSON object; expected one a line")


def _byte_cuts(path: Path, fmt: FileFormat, max_rows: int, max_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    is_csv = fmt is FileFormat.CSV
    with path.open("rb") as file:
        start = _csv_header_place(path)[1] if is_csv else 0
        if not is_csv and file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
            start = len(BYTE_ORDER_MARK)
        counted = given = 0  # rows seen so far, rows in the cuts so far
        scanned = start
        for ends in RecordScanner(file, start, has_quotes=is_csv):
            rows = counted + np.cumsum(~ends.is_blank)
            taken = 0  # of this block's records, those in a cut already
            while True:
                by_rows = int(np.searchsorted(rows, given + max_rows, "right"))
                by_bytes = int(np.searchsorted(ends.offsets, start + max_bytes, "right"))
                fitting = min(by_rows, by_bytes)
                if fitting >= len(rows):
                    break
                if fitting <= taken and scanned == start:
                    fitting = taken + 1  # one record that is longer than a cut may be
                if fitting > taken:
                    scanned, counted, taken = int(ends.offsets[fitting - 1]), int(rows[fitting - 1]), fitting
                if counted > given:
                    yield given + 1, counted - given, start, scanned
                start, given = scanned, counted
            scanned, counted = int(ends.offsets[-1]), int(rows[-1])
        if counted > given:
            yield given + 1, counted - given, start, scanned


def _row_cuts(path: Path, max_rows: int, max_bytes: int) -> Iterator[tuple[int, int, int, int]]:
    """A cut is some rows of one row group, or several whole ones: a part of a group has it decoded from its start, and
    a cut for each small group has the model called for every few rows."""
    begin = end = held_bytes = 0  # of whole row groups that are in no cut yet
    with opened(path) as parquet:
        for n_rows, size in row_groups(parquet):
            if begin < end and (end + n_rows - begin > max_rows or held_bytes + size > max_bytes):
                yield begin + 1, end - begin, begin, end
                begin, held_bytes = end, 0
            end += n_rows
            held_bytes += size
            if n_rows > max_rows or size > max_bytes:
                step = max(1, min(max_rows, int(max_bytes * n_rows / size)))
                for start in range(begin, end, step):
                    stop = min(start + step, end)
                    yield start + 1, stop - start, start, stop
                begin, held_bytes = end, 0
        if begin < end:
            yield begin + 1, end - begin, begin, end


def _lacks(name: str, names: list[str]) -> InvalidInputError:
    return InvalidInputError(f"the file lacks the column {shortened(repr(name))}; it has {_listed(names)}")


def _listed(names: list[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN_NAMES else ""
    return (", ".join(map(shortened, names[:_SHOWN_NAMES])) or "none") + more
