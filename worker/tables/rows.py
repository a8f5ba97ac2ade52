"""The rows of one range of a file as a reader returns them, before good and bad rows are separated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from queuecast.domain.errors import Finding, short_name
from queuecast.domain.findings.bounds import MAX_FINDINGS
from worker.tables.checked_columns import CheckedColumn


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is left out. row: counted from 1 in the file. column: None if the whole row is wrong.

    file: the name of the file, if it is one of several.
    """

    row: int
    column: str | None
    code: str
    detail: str
    found: str | None = None
    expected: str | None = None
    others: tuple[Finding, ...] = ()
    """The faults after the first one, up to MAX_FINDINGS together."""
    total: int = 1
    """The number of all faults."""
    file: str = ""

    @classmethod
    def of(cls, row: int, column: str | None, fault: Finding) -> "BadRow":
        return cls(row, column, fault.code, fault.detail, fault.found, fault.expected)

    @classmethod
    def not_json(cls, row: int, error: Exception) -> "BadRow":
        return cls(row, None, "malformed", f"the line is not JSON in UTF-8: {error}")

    @classmethod
    def of_cells(cls, row: int, faults: Sequence[Finding], total: int) -> "BadRow":
        """faults: of the row's cells, each with its column; the first ones, if there are many."""
        return replace(cls.of(row, faults[0].column, faults[0]), others=tuple(faults[1:MAX_FINDINGS]), total=total)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """For the error of a job that such a row fails."""
        first = Finding("", self.code, self.detail, self.found, self.expected, self.column)
        found = (first, *self.others)
        return tuple(replace(each, pointer=place_in_file(self.row, each.column, self.file)) for each in found)

    def as_json(self) -> dict[str, Any]:
        """For the list of bad rows. A row with several faults also has them all, up to MAX_FINDINGS."""
        line: dict[str, Any] = {"file": self.file} if self.file else {}
        line |= {"row": self.row, "column": self.column, "code": self.code, "detail": self.detail}
        if self.others:
            faults = self.findings
            line["errors"] = [{"column": each.column, "code": each.code, "detail": each.detail} for each in faults]
            if self.total > len(faults):
                line["errors_total"] = self.total
        return line


@dataclass(frozen=True, slots=True)
class Rows:
    """columns: one for each column of the signature, with the faults of their cells.

    extra: further columns of the file by name, as pyarrow arrays.
    row_numbers: (n,) int64, of the rows that the columns hold.
    unreadable: the rows that could not be split into cells; the columns do not hold them.
    file: the name of the file, if it is one of several.
    """

    columns: list[CheckedColumn]
    extra: dict[str, Any]
    row_numbers: Any
    unreadable: list[BadRow]
    file: str = ""

    def of_file(self, name: str) -> "Rows":
        return replace(self, file=name, unreadable=[replace(bad, file=name) for bad in self.unreadable])


def place_in_file(row: int, column: str | None, file: str = "") -> str:
    place = f"row {row}" if column is None else f"row {row}, column {short_name(column)}"
    return f"{file}, {place}" if file else place


def number_rows(first_row: int, n_rows: int, unreadable: list[BadRow]) -> Any:
    """The numbers of a range's rows without the unreadable ones."""
    numbers = np.arange(first_row, first_row + n_rows, dtype=np.int64)
    return np.delete(numbers, [bad.row - first_row for bad in unreadable]) if unreadable else numbers
