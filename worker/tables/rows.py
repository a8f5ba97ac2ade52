"""The rows of one range of a file as a reader returns them, before good and bad rows are separated."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from queuecast.domain.errors import Finding
from worker.tables.checked_columns import CheckedColumn


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out. row: counted from 1 in the file. column: None if the whole row is wrong."""

    row: int
    column: str | None
    code: str
    detail: str
    found: str | None = None
    expected: str | None = None

    @classmethod
    def of(cls, row: int, column: str | None, fault: Finding) -> "BadRow":
        return cls(row, column, fault.code, fault.detail, fault.found, fault.expected)

    @property
    def finding(self) -> Finding:
        """For the error of a job that such a row fails."""
        return Finding(
            place_in_file(self.row, self.column), self.code, self.detail, self.found, self.expected, self.column
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """columns: one for each column of the signature, with the faults of their cells.

    extra: further columns of the file by name, as pyarrow arrays.
    row_numbers: (n,) int64, of the rows that the columns hold.
    unreadable: the rows that could not be split into cells; the columns do not hold them.
    """

    columns: list[CheckedColumn]
    extra: dict[str, Any]
    row_numbers: Any
    unreadable: list[BadRow]


def place_in_file(row: int, column: str | None) -> str:
    return f"row {row}" if column is None else f"row {row}, column {column}"


def number_rows(first_row: int, n_rows: int, unreadable: list[BadRow]) -> Any:
    """The numbers of a range's rows without the unreadable ones."""
    numbers = np.arange(first_row, first_row + n_rows, dtype=np.int64)
    return np.delete(numbers, [bad.row - first_row for bad in unreadable]) if unreadable else numbers
