"""Rows for one prediction, from where a person has them: a file, or a pipe."""

import sys
from pathlib import Path
from typing import Any

from queuecast import terminal
from queuecast.client import ApiError, Client
from queuecast.csv_rows import parsed_csv_rows, parsed_json_rows

USE_OUTPUT = "-o answers.csv predicts a file of any size"
MAX_PRINTED_BYTES = 64 * 2**20  # eight times the JSON that a gateway takes for one prediction, and all of it in memory


def read_rows(client: Client, source: str, model: str, version: int | str | None) -> list[Any]:
    """The rows of a CSV, JSON or NDJSON file, or of standard input (`-`).

    Raises ValueError for what is no rows, and for a file that one prediction would not take.
    """
    if source != "-" and (source.lower().endswith(".parquet") or Path(source).stat().st_size > MAX_PRINTED_BYTES):
        raise ValueError(f"{source} is not for one prediction; {USE_OUTPUT}")
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
    if source.lower().endswith((".ndjson", ".jsonl")):
        return parsed_json_rows(f"[{','.join(line for line in text.splitlines() if line.strip())}]")
    if source.lower().endswith(".json") or (source == "-" and text.lstrip()[:1] in ("[", "{")):
        return parsed_json_rows(text)
    inputs, dropped = parsed_csv_rows(text.splitlines(keepends=True), _schema(client, model, version))
    if dropped:
        terminal.note(f"note: columns that the model does not take were left out: {', '.join(dropped)}")
    return inputs


def _schema(client: Client, model: str, version: int | str | None) -> dict[str, Any] | None:
    try:
        number = client.model(model)["aliases"].get(version) if isinstance(version, str) else version
        return client.schema(model, number)
    except ApiError as error:
        if error.status == 404:
            return None  # the prediction itself says best what there is not
        raise
