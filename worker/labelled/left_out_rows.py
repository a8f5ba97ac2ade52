"""The rows of a training file that are left out because they do not fit: counted, and written to a file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from queuecast.domain.errors import Finding
from queuecast.domain.findings.bounds import MAX_FINDINGS, FirstFindings
from queuecast.domain.model import BadCell
from worker.file_writing import atomic_write, disk_full_as_unavailable
from worker.tables.rows import BadRow

MAX_BAD_SHARE = 0.5  # with a larger share of bad rows, the file does not fit, and a fit on its rest would say little
_encoder = msgspec.json.Encoder()


class LeftOutRows:
    """bad_rows: their number. bad_cells: the first ones."""

    def __init__(self, file: IO[bytes]) -> None:
        self.bad_rows = 0
        self.bad_cells: tuple[BadCell, ...] = ()
        self._findings: tuple[Finding, ...] = ()
        self._n_rows = self._n_cells = 0
        self._file = file

    def add(self, bad_rows: Sequence[BadRow], n_rows: int) -> None:
        """Adds those of the next range. n_rows: its good and bad rows."""
        self._n_rows += n_rows
        self.bad_rows += len(bad_rows)
        self._n_cells += sum(bad.total for bad in bad_rows)
        for bad in bad_rows:
            if len(self.bad_cells) < MAX_FINDINGS:
                self._name(bad)
            self._file.write(_encoder.encode(bad.as_json()) + b"\n")

    def _name(self, bad: BadRow) -> None:
        for finding in bad.findings[: MAX_FINDINGS - len(self.bad_cells)]:
            self.bad_cells += (BadCell(bad.row, finding.column, finding.code, finding.detail, bad.file),)
            self._findings += (finding,)

    def require_most_good(self) -> None:
        """Raises InvalidInputError if more rows are bad than a fit may leave out."""
        if self.bad_rows > self._n_rows * MAX_BAD_SHARE:
            before = f"{self.bad_rows:,} of the {self._n_rows:,} rows of the file are bad, more than half: "
            raise FirstFindings(self._findings, self._n_cells).refusal(before)


@contextmanager
def left_out_rows(path: Path) -> Iterator[LeftOutRows]:
    """Writes the bad rows to `path`, one JSON object per line, as a batch does. The file is there after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_full_as_unavailable(), atomic_write(path) as file:
        yield LeftOutRows(file)
