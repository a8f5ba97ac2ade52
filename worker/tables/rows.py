"""What a reader makes of one cut of a file, before the good rows are separated from the bad."""

from dataclasses import dataclass
from typing import Any

from worker.tables.columns import CheckedColumn


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out. row: counted from 1 in the file. column: None where the row as a whole is wrong."""

    row: int
    column: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that could be taken apart, with what is wrong in their cells, and those that could not.

    columns: one a column of the signature. others: further columns of the file by name, as pyarrow arrays.
    row_numbers: (n,) int64, of the rows in them. broken: the rows that are in none of them.
    """

    columns: list[CheckedColumn]
    extra: dict[str, Any]
    row_numbers: Any
    unreadable: list[BadRow]
