"""Reads the rows of one prediction from a file or from standard input."""

import sys
from pathlib import Path
from typing import Any

from queuecast.cli.terminal import note
from queuecast.client import ApiError, Client
from queuecast.client.model_administration import schema_for
from queuecast.client.row_formats.table_files import PARQUET_START
from queuecast.client.row_formats.text_rows import (
    is_ndjson,
    parsed_csv_rows,
    parsed_json_rows,
    parsed_ndjson_rows,
    text_lines,
)

USE_OUTPUT = "-o answers.csv predicts a file of any size"


def read_rows(
    client: Client,
    source: str,
    model: str,
    version: int | str | None,
    extra_columns: str | None,
    *,
    has_lines: bool = False,
) -> list[Any]:
    """The rows of a CSV, JSON or NDJSON file, or of standard input (`-`).

    has_lines: whether each line is a text, as in a file with the suffix .txt.

    Raises ValueError for other content, and for a file that is too large for one prediction.
    """
    name = "standard input" if source == "-" else source
    suffix = "" if source == "-" else Path(source).suffix.lower()
    if suffix == ".parquet":
        raise ValueError(f"{name} is a Parquet file, expected CSV, JSON or NDJSON; {USE_OUTPUT}")
    # The file is read into memory, and 64 MiB is eight times the JSON that a gateway takes for one prediction.
    if source != "-" and Path(source).stat().st_size > 64 * 2**20:
        raise ValueError(f"{name} is too large for one prediction; {USE_OUTPUT}")
    text = _decode(name, sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes())
    if has_lines or suffix == ".txt":
        return text_lines(text)
    is_json = suffix == ".json" or (source == "-" and text.lstrip()[:1] in ("[", "{"))
    if suffix in (".ndjson", ".jsonl") or (source == "-" and is_json and is_ndjson(text)):
        return parsed_ndjson_rows(text)
    if is_json:
        return parsed_json_rows(text)
    inputs, notes = parsed_csv_rows(text, _schema(client, model, version), extra_columns)
    for line in notes:
        note(f"note: {line}")
    return inputs


def _decode(name: str, content: bytes) -> str:
    if content.startswith(PARQUET_START):
        raise ValueError(f"{name} holds Parquet, expected CSV, JSON or NDJSON; -o answers.csv predicts rows.parquet")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _schema(client: Client, model: str, version: int | str | None) -> dict[str, Any] | None:
    try:
        return schema_for(client, model, version)
    except ApiError as error:
        if error.status == 404:
            return None  # the response to the prediction has the better explanation
        raise
