"""CSV files as DataFrames, read so that no value can come under its neighbor's name."""

import csv
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from queuecast.domain.errors import InvalidInputError


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
