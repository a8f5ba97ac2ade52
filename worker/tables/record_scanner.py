"""Finds where the records of a text file end, in one pass over its blocks with numpy. Knows nothing of columns.

A CSV record ends at a newline, at a carriage return and newline, or at a lone carriage return, unless a quoted field is
open. Only a quote at the start of a field opens it; any other quote is an ordinary character (`5" pipe`), as for pandas
and pyarrow. An NDJSON line ends at its newline.

An empty line is not a row and is not counted. A line of spaces is a row.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from queuecast.domain.errors import InvalidInputError

MAX_RECORD_BYTES = 2**23
_NEWLINE, _RETURN, _QUOTE, _COMMA = 10, 13, 34, 44
BYTE_ORDER_MARK = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class RecordEnds:
    """Some records, in the order of the file. offsets: (n,) int64, the position in the file after each record."""

    offsets: Any
    is_blank: Any


class RecordScanner:
    """Iterates over the ends of the records from `start` on, some thousands at a time."""

    def __init__(
        self, file: IO[bytes], start: int, *, has_quotes: bool, first_row: int = 1, block_bytes: int = 2**20
    ) -> None:
        """first_row: the number of the record at `start`, for errors. block_bytes: read at a time; by default what fits
        a core's cache together with the positions found in it."""
        self._file = file
        self._start = start
        self._has_quotes = has_quotes
        self._block_bytes = block_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._next_row = first_row
        self._in_quotes = False  # a quoted field is open
        self._previous_byte = _NEWLINE  # the last byte of the block before
        self._previous_closed = False  # that byte is a quote that closed a field

    def __iter__(self) -> Iterator[RecordEnds]:
        """Raises InvalidInputError for bytes that are not UTF-8, a record that is too long, or an unclosed quote."""
        self._file.seek(self._start)
        offset = record_start = self._start
        while block := self._read_block():
            self._require_utf8(block, offset)
            data = np.frombuffer(block, np.uint8)
            offsets = self._last_bytes(block, data) + 1
            self._previous_byte = int(data[-1])
            starts = np.concatenate(([record_start - offset], offsets))
            lengths = np.diff(starts)
            is_blank = lengths == 1
            pairs = np.flatnonzero((lengths == 2) & (starts[:-1] >= 0))  # a block never ends within \r\n
            if len(pairs):
                is_blank[pairs] = data[offsets[pairs] - 2] == _RETURN
            self._require_short(lengths, is_blank, open_bytes=len(block) - int(starts[-1]))
            if len(offsets):
                self._next_row += len(offsets) - int(is_blank.sum())
                yield RecordEnds(offsets + offset, is_blank)
            record_start = offset + int(starts[-1])
            offset += len(block)
        self._require_utf8(b"", offset, final=True)
        if self._in_quotes:
            raise InvalidInputError(f"the quote opened in row {self._next_row} of the file is never closed")
        if offset > record_start:
            is_blank = offset - record_start == 1 and self._previous_byte == _RETURN  # a file truncated within \r\n
            yield RecordEnds(np.array([offset]), np.array([is_blank]))

    def _read_block(self) -> bytes:
        block = self._file.read(self._block_bytes)
        if block.endswith(b"\r"):  # its meaning depends on the next byte
            next_byte = self._file.read(1)
            if next_byte == b"\n":
                return block + next_byte
            self._file.seek(-len(next_byte), 1)
        return block

    def _last_bytes(self, block: bytes, data: Any) -> Any:
        """The last byte of each record that ends in the block."""
        ends = np.flatnonzero(data == _NEWLINE)
        if not self._has_quotes:
            return ends
        if b"\r" in block:
            returns = np.flatnonzero(data == _RETURN)
            following = data[np.minimum(returns + 1, len(data) - 1)]
            ends = np.sort(np.concatenate((ends, returns[following != _NEWLINE])))
        was_in_quotes = self._in_quotes
        if b'"' in block:
            quotes = self._field_quotes(data, np.flatnonzero(data == _QUOTE))
            ends = ends[(np.searchsorted(quotes, ends) + was_in_quotes) % 2 == 0]
            self._in_quotes = bool((len(quotes) + was_in_quotes) % 2)
            self._previous_closed = bool(len(quotes)) and quotes[-1] == len(data) - 1 and not self._in_quotes
        else:
            ends = ends[:0] if was_in_quotes else ends
            self._previous_closed = False
        return ends

    def _field_quotes(self, data: Any, quotes: Any) -> Any:
        """The quotes that open or close a field. A doubled quote in a quoted field closes it and opens it again."""
        before = data[quotes - 1]
        if quotes[0] == 0:
            before[0] = _COMMA if self._previous_closed else self._previous_byte
            if before[0] == _QUOTE and not self._in_quotes:
                before[0] = 0  # that quote is an ordinary character, so this one opens nothing
        opens = before[int(self._in_quotes) :: 2]
        # The quote before an opening one is a closing one, so two adjacent quotes are a doubled quote.
        if ((opens == _COMMA) | (opens == _NEWLINE) | (opens == _RETURN) | (opens == _QUOTE)).all():
            return quotes
        return self._field_quotes_one_by_one(quotes, before)

    def _field_quotes_one_by_one(self, quotes: Any, before: Any) -> Any:
        found: list[int] = []
        in_quotes = self._in_quotes
        for at, previous in zip(quotes.tolist(), before.tolist(), strict=True):
            is_doubled = bool(found) and found[-1] == at - 1
            if in_quotes or is_doubled or previous in (_COMMA, _NEWLINE, _RETURN):
                found.append(at)
                in_quotes = not in_quotes
        return np.array(found, dtype=np.int64)

    def _require_utf8(self, block: bytes, offset: int, *, final: bool = False) -> None:
        try:
            self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            carried = len(error.object) - len(block)  # bytes of a character that began in the block before
            raise InvalidInputError(
                f"byte {offset + error.start - carried} of the file is not UTF-8; save the file as UTF-8"
            ) from None

    def _require_short(self, lengths: Any, is_blank: Any, open_bytes: int) -> None:
        too_long = np.flatnonzero(lengths > MAX_RECORD_BYTES)
        if len(too_long) or open_bytes > MAX_RECORD_BYTES:
            before = int((~is_blank[: too_long[0]]).sum()) if len(too_long) else int((~is_blank).sum())
            hint = "; is a quote left open?" if self._has_quotes else ""
            raise InvalidInputError(
                f"row {self._next_row + before} of the file has more than {MAX_RECORD_BYTES} bytes{hint}"
            )


def first_record(path: Path) -> tuple[int, int]:
    """Where the first record of a CSV file begins and ends; the same position twice in a file without records."""
    with path.open("rb") as file:
        begin = len(BYTE_ORDER_MARK) if file.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        for ends in RecordScanner(file, begin, has_quotes=True, first_row=0, block_bytes=2**16):
            records = np.flatnonzero(~ends.is_blank)
            if len(records):
                first = int(records[0])
                return int(ends.offsets[first - 1]) if first else begin, int(ends.offsets[first])
            begin = int(ends.offsets[-1])
    return begin, begin


def header_range(path: Path) -> tuple[int, int]:
    """Where the header of a CSV file begins and ends. Raises InvalidInputError for a file without a record."""
    start, end = first_record(path)
    if start == end:
        raise InvalidInputError("the file is empty")
    return start, end
