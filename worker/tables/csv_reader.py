"""Reads CSV files: one range of a table by a signature, or the whole example of a pushed model as pandas reads it.

pyarrow splits the bytes of a range into cells, and `worker.tables.text_cells` reads them by the signature.
"""

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError, mismatch
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Signature
from queuecast.tables.cells import words_for_missing
from worker.tables.checked_columns import check_column
from worker.tables.file_columns import column_names, find_columns
from worker.tables.file_ranges import read_bytes
from worker.tables.rows import BadRow, Rows, number_rows
from worker.tables.text_cells import parse_column


def read_csv_rows(path: Path, signature: Signature, file_range: FileRange, extra: Sequence[str] = ()) -> Rows:
    """extra: columns that are returned as text, null where empty."""
    names = column_names(path, FileFormat.CSV)
    sources = find_columns(names, signature, extra)
    data = read_bytes(path, file_range)
    table, unreadable = split_cells(data, names, list(dict.fromkeys([*sources, *extra])), file_range)
    columns = []
    for column, source in zip(signature.columns, sources, strict=True):
        text = table[source]
        values, is_wrong = parse_column(column, text)
        columns.append(check_column(column, values, is_wrong, text))
    numbers = number_rows(file_range.first_row, file_range.n_rows, unreadable)
    return Rows(columns, {name: table[name] for name in extra}, numbers, unreadable)


def split_cells(
    data: bytes, names: list[str], wanted: list[str], file_range: FileRange
) -> tuple[dict[str, Any], list[BadRow]]:
    """The cells of the wanted columns as text, and the rows that are longer or shorter than the header."""
    unreadable: list[BadRow] = []

    def skip(row: Any) -> str:
        fault = mismatch("", "wrong_length", f"{row.actual_columns} cells", str(row.expected_columns))
        unreadable.append(BadRow.of(file_range.first_row + row.number - 1, None, fault))
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        # One block, because pyarrow numbers the rows of each block from 1.
        read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    n_rows = table.num_rows + len(unreadable)
    if n_rows != file_range.n_rows:
        raise InvalidInputError(
            f"bytes {file_range.start} to {file_range.end} of the file hold {n_rows} rows, expected {file_range.n_rows}"
        )
    return {name: _single_chunk(table[name]) for name in wanted}, unreadable


def _single_chunk(chunked: Any) -> Any:
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


def read_csv(path: Path, known_words: Mapping[str, Sequence[str]] | None = None) -> Any:
    """A DataFrame of a UTF-8 file with a header. Raises InvalidInputError for a file that is not a table.

    pandas decides which cells are missing ("", "NA", "nan", "null" ...), as it did in the notebook that fitted the
    model. known_words: column -> words of pandas that are values there; with an entry for every column of the file.
    """
    options: dict[str, Any] = {}
    if known_words:
        missing = {name: ["", *words_for_missing(words, may_be_missing=True)] for name, words in known_words.items()}
        options = {"keep_default_na": False, "na_values": missing}
    return _read_frame(path, options)


def read_csv_cells(path: Path) -> Any:
    """As `read_csv`, with every cell as text, empty where it is empty."""
    return _read_frame(path, {"dtype": str, "keep_default_na": False})


def _read_frame(path: Path, options: Mapping[str, Any]) -> Any:
    try:
        _require_short_first_row(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, encoding="utf-8-sig", index_col=False, **options)
    except (ValueError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # UnicodeDecodeError and "no columns" are ValueErrors
        raise InvalidInputError(f"the file cannot be read as CSV: {error}") from None


def _require_short_first_row(path: Path) -> None:
    """pandas takes the first column for row labels if the first row has one cell more than the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.reader(file)
        header, first = next(records, []), next(records, [])
    if len(first) > len(header):
        raise InvalidInputError(f"row 1 of the file has {len(first)} cells, its header has {len(header)}")
