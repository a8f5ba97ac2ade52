"""Sends the same rows to a version in each format."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from api.http.row_decoding import require_rows
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import open_table
from queuecast.client.row_formats.text_rows import parsed_csv_rows
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.file_formats import FileFormat
from queuecast.domain.signature import Signature
from queuecast.domain.work import Method
from tests.worker.model_fixtures import LocalService
from worker.models.inference import infer_held_frame
from worker.models.loading import load_estimator
from worker.tables.reader import read_range
from worker.tables.splitting import split_file


def _through_the_gateway(signature: Signature, rows: list[Any]) -> list[Any]:
    checked = require_rows(signature, json.dumps(rows).encode(), len(rows), ExtraColumns.IGNORE)
    sent: list[Any] = json.loads(checked.rows)
    return sent


def answers_by_format(service: LocalService, rows: Any, method: Method, folder: Path, version: int) -> dict[str, Any]:
    """What a worker answers to the same rows in each format."""
    manifest = service.manifest(version)
    estimator = load_estimator(service.models.file("model", version, "model.skops"))
    names = [column.name for column in manifest.signature.columns]
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows, columns=names)
    (folder / "csv").write_text(frame.to_csv(index=False))
    listed = json_rows(rows)
    (folder / "ndjson").write_text("".join(json.dumps(row) + "\n" for row in listed))
    with open_table(frame) as table:
        (folder / "parquet").write_bytes(table.content.read())
    sent, _ = parsed_csv_rows(frame.to_csv(index=False), manifest.signature.json_schema())
    answers: dict[str, Any] = {
        "json": service.answers(_through_the_gateway(manifest.signature, listed), method, version),
        "rows of a CSV file": service.answers(_through_the_gateway(manifest.signature, sent), method, version),
    }
    for fmt in FileFormat:
        path = folder / fmt.value
        (file_range,) = split_file(path, fmt, 1000, 2**20)
        read = read_range(path, fmt, manifest.signature, file_range)
        assert read.bad_rows == []
        answers[fmt.value] = infer_held_frame(estimator, manifest.signature, method, read.frame)
    return answers
