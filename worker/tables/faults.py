"""Finds the bad rows of a range, and names the faults of their cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from queuecast.domain.errors import Finding, short_name
from queuecast.domain.findings.bounds import MAX_FINDINGS, FirstFindings
from worker.tables.rows import BadRow, Rows, place_in_file


@dataclass(frozen=True, slots=True)
class CellFaults:
    """The cells of one column that have a fault of one kind. A cell has one fault at most.

    mask: (n_rows,) bool. finding: the fault in a row, by the row's index in the range.
    """

    column: str
    code: str
    mask: Any
    finding: Callable[[int], Finding]


def cell_faults(rows: Rows) -> list[CellFaults]:
    """In the order of the columns."""
    return [
        CellFaults(each.column.name, code, mask, partial(each.finding, code))
        for each in rows.columns
        for code, mask in each.faults.items()
    ]


def bad_rows_mask(faults: Sequence[CellFaults]) -> Any:
    """None if no row is bad."""
    return np.logical_or.reduce([each.mask for each in faults]) if faults else None


def bad_rows(rows: Rows, faults: Sequence[CellFaults], limit: int | None = None) -> list[BadRow]:
    """The unreadable rows and those with faults, in their order. limit: only the first of them."""
    bad = rows.unreadable[:limit]
    is_bad = bad_rows_mask(faults)
    if is_bad is None:
        return bad
    positions = np.flatnonzero(is_bad)[:limit]
    named: list[list[Finding]] = [[] for _ in positions]
    totals = np.zeros(len(positions), dtype=np.int64)
    for each in faults:
        mask = each.mask[positions]
        for at in np.flatnonzero(mask & (totals < MAX_FINDINGS)).tolist():
            named[at].append(each.finding(int(positions[at])))
        totals += mask
    numbers = rows.row_numbers[positions].tolist()
    cells = [
        replace(BadRow.of_cells(*each), file=rows.file) for each in zip(numbers, named, totals.tolist(), strict=True)
    ]
    return sorted([*bad, *cells], key=lambda row: row.row)[:limit]


class FaultSample:
    """Some of a file's faults, and the number of all: the first of each kind in each column, then the first ones."""

    def __init__(self) -> None:
        self.total = 0
        self._kinds: dict[tuple[str | None, str], tuple[tuple[int, int], Finding]] = {}
        self._first: list[tuple[tuple[int, int], Finding]] = []  # place of the file, row
        self._places: dict[str | None, int] = {}
        self._files: dict[str, int] = {}

    def add(self, rows: Rows, faults: Sequence[CellFaults]) -> None:
        """Adds the faults of the next range."""
        self.total += len(rows.unreadable) + sum(int(each.mask.sum()) for each in faults)
        file = self._files.setdefault(rows.file, len(self._files))
        for name in [*(each.column.name for each in rows.columns), *(each.column for each in faults)]:
            self._places.setdefault(short_name(name), len(self._places))
        for bad in rows.unreadable:
            self._kinds.setdefault((None, bad.code), ((file, bad.row), bad.findings[0]))
        for each in faults:
            if (each.column, each.code) not in self._kinds:
                at = int(each.mask.argmax())
                row = int(rows.row_numbers[at])
                placed = replace(each.finding(at), pointer=place_in_file(row, each.column, rows.file))
                self._kinds[each.column, each.code] = (file, row), placed
        if len(self._first) < MAX_FINDINGS:
            rows_with_faults = bad_rows(rows, faults, MAX_FINDINGS)
            self._first += [((file, bad.row), finding) for bad in rows_with_faults for finding in bad.findings]

    def findings(self) -> FirstFindings:
        """In the order of the rows and of their columns."""
        kinds = sorted(self._kinds.values(), key=lambda placed: placed[0])
        chosen = {finding.pointer: (at, finding) for at, finding in [*kinds, *self._first]}
        first = list(chosen.values())[:MAX_FINDINGS]
        first.sort(key=lambda placed: (placed[0], self._places.get(placed[1].column, -1)))
        return FirstFindings(tuple(finding for _, finding in first), self.total)
