"""One cut of a CSV file: pyarrow splits it into cells, `worker.tables.text_cells` reads them by the signature."""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from queuecast.domain.batch import FileFormat
from queuecast.domain.chunking import FileRange
from queuecast.domain.errors import InvalidInputError
from queuecast.domain.signature import Signature
from worker.tables.columns import check_column
from worker.tables.file_columns import column_names, find_columns
from worker.tables.rows import BadRow, Rows
from worker.tables.text_cells import parse_cells


def read_csv_rows(path: Path, signature: Signature, cut: FileRange, others: Sequence[str] = ()) -> Rows:
    """others: columns that are wanted as the text they are, null where empty."""
    names = column_names(path, FileFormat.CSV)
    sources = find_columns(names, signature, others)
    with path.open("rb") as file:
        file.seek(cut.start)
        data = file.read(cut.end - cut.start)
    table, broken = _cells(data, names, list(dict.fromkeys([*sources, *others])), cut)
    columns = []
    for column, source in zip(signature.columns, sources, strict=True):
        text = table[source]
        values, is_wrong = parse_cells(column.type, text)
        columns.append(check_column(column, values, is_wrong, text))
    numbers = np.arange(cut.first_row, cut.first_row + cut.n_rows, dtype=np.int64)
    if broken:
        numbers = np.delete(numbers, [bad.row - cut.first_row for bad in broken])
    return Rows(columns, {name: table[name] for name in others}, numbers, broken)


def _cells(data: bytes, names: list[str], wanted: list[str], cut: FileRange) -> tuple[dict[str, Any], list[BadRow]]:
    broken: list[BadRow] = []

    def note(found: Any) -> str:
        broken.append(
            BadRow(
                cut.first_row + found.number - 1,
                None,
                "wrong_length",
                f"found {found.actual_columns} cells, expected {found.expected_columns}",
            )
        )
        return "skip"

    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        # One block: pyarrow counts the rows of a block only.
        read_options=pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=len(data) + 1),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    n_rows = table.num_rows + len(broken)
    if n_rows != cut.n_rows:
        raise InvalidInputError(f"bytes {cut.start} to {cut.end} of the file hold {n_rows} rows, expected {cut.n_rows}")
    return {name: _one_array(table[name]) for name in wanted}, broken


def _one_array(chunked: Any) -> Any:
    return chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()


def read_csv(path: Path, **options: Any) -> Any:
    """A file with a header, in UTF-8. Raises InvalidInputError for one that cannot be read as a table.

    What counts as missing is pandas's own list ("", "NA", "nan", "null" ...), as in the notebook before.
    """
    try:
        _require_narrow_rows(path)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, encoding="utf-8-sig", index_col=False, **options)
    except (ValueError, csv.Error, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        # UnicodeDecodeError and "no columns" are ValueErrors
        raise InvalidInputError(f"the file cannot be read as CSV: {error}") from None


def _require_narrow_rows(path: Path) -> None:
    """pandas takes the first column for row labels where the first row has a cell more than the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        records = csv.reader(file)
        header, first = next(records, []), next(records, [])
    if len(first) > len(header):
        raise InvalidInputError(f"row 1 of the file has {len(first)} cells, its header has {len(header)}")
