"""Uploads tables."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from queuecast.client.row_formats.fit_tables import fit_table, fit_target_names
from queuecast.client.row_formats.table_files import ProgressCallback, ProgressFile, TableFile
from queuecast.client.trainings.params import champion_target
from queuecast.client.transport import Body, Transport, read_json


def upload_table(transport: Transport, table: TableFile, on_upload: ProgressCallback | None = None) -> Body:
    """Returns the description of the stored file."""
    digest = base64.b64encode(hashlib.file_digest(table.content, "sha256").digest()).decode()
    headers = {"Content-Type": table.media_type, "Content-Digest": f"sha-256=:{digest}:"}
    size_bytes = table.content.tell()
    content = table.content if on_upload is None else ProgressFile(table.content, size_bytes, on_upload)
    # Idempotent enough to retry: the gateway deletes a copy that no job uses after a while.
    response = transport.send(
        "POST", "/v1/files", content=content, query={"name": table.name}, headers=headers, is_idempotent=True
    )
    stored: Body = read_json(response)
    return stored


def upload_fit(
    transport: Transport, model_path: str, x: Any, y: Any, target: str | Sequence[str] | None
) -> tuple[Body, list[str]]:
    """The description of a file with rows and targets, and the names of its targets."""
    names = fit_target_names(x, y, target, champion_target(transport, model_path))
    with fit_table(x, y, names) as table:
        return upload_table(transport, table, None), names
