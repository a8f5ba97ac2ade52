"""Reads NDJSON that has a JSON string on each line, for a model whose rows are texts."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from queuecast.domain.chunking import FileRange
from queuecast.domain.signature import Column, column_findings
from queuecast.tables.column_names import first_lines
from queuecast.tables.json_values import NOT_JSON, parse_leniently
from worker.models.columns.typed_columns import ARROW_TYPES
from worker.tables.checked_columns import check_column
from worker.tables.file_ranges import numbered_lines
from worker.tables.record_scanner import MAX_RECORD_BYTES
from worker.tables.rows import BadRow, Rows, number_rows

_decoder = msgspec.json.Decoder(str | None)


def has_bare_texts(path: Path) -> bool:
    """Whether the first line that is JSON is a string, and no object with the text as one of its values."""
    for line in first_lines(path, MAX_RECORD_BYTES):
        try:
            row = msgspec.json.decode(line)
        except NOT_JSON:
            continue
        if isinstance(row, str | dict):
            return isinstance(row, str)
    return False


def read_text_lines(column: Column, data: bytes, file_range: FileRange) -> Rows:
    texts: list[str | None] = []
    bad: list[BadRow] = []
    for number, line in numbered_lines(data, file_range):
        try:
            texts.append(_decoder.decode(line))
        except NOT_JSON as error:
            bad.append(_explain(column, line, number, error))
    values = pa.array(texts, ARROW_TYPES[column.type])
    numbers = number_rows(file_range.first_row, file_range.n_rows, bad)
    return Rows([check_column(column, values, None, values)], {}, numbers, bad)


def _explain(column: Column, line: bytes, number: int, error: Exception) -> BadRow:
    try:
        value: Any = parse_leniently(line)
    except (ValueError, RecursionError) as broken:
        return BadRow.not_json(number, broken)
    finding = next(column_findings(column, value, ""), None)
    return BadRow(number, None, "malformed", str(error)) if finding is None else BadRow.of(number, None, finding)
