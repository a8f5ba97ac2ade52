"""Reads the result file of a batch: its row numbers and the cells of its answers."""

import csv
import io
import json
from typing import Any

import pyarrow.parquet

FORMATS = ("csv", "ndjson", "json", "parquet")


def read_result(content: bytes, output_format: str) -> tuple[list[int], list[list[Any]]]:
    """Positions in the file of the rows, counted from 0, and the cells of each. CSV has text for cells."""
    if output_format == "csv":
        records = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
        return [int(record[0]) - 1 for record in records], [record[1:] for record in records]
    if output_format == "parquet":
        rows = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    elif output_format == "json":
        rows = json.loads(content)
    else:
        rows = [json.loads(line) for line in content.decode().split("\n") if line]
    values = [list(row.values()) for row in rows]
    return [row[0] - 1 for row in values], [row[1:] for row in values]
