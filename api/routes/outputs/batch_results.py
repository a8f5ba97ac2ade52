"""The files that a batch has written, as responses."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from flask import Response, request, send_file

from api.http.request_headers import preferred_media_type
from queuecast.domain.errors import GoneResultError, NotAcceptableError
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.job import Job, JobType
from queuecast.ports.batches import BatchFiles

MEDIA_TYPES = {
    OutputFormat.CSV: "text/csv",
    OutputFormat.NDJSON: "application/x-ndjson",
    OutputFormat.JSON: "application/json",
    OutputFormat.PARQUET: "application/vnd.apache.parquet",
}
_TEXT: dict[str, Any] = {"type": "string"}
_ROWS: dict[str, Any] = {
    "title": "BatchRows",
    "description": "A batch's file in the format `json`: one object per row.",
    "type": "array",
    "items": {"type": "object", "additionalProperties": True},
}
# The schemas of a batch's file. Generated clients take the first that they know, so JSON comes last.
FILE_CONTENT: dict[str, Any] = {
    MEDIA_TYPES[OutputFormat.CSV]: _TEXT,
    MEDIA_TYPES[OutputFormat.NDJSON]: _TEXT,
    MEDIA_TYPES[OutputFormat.PARQUET]: {"type": "string", "format": "binary"},
    MEDIA_TYPES[OutputFormat.JSON]: _ROWS,
}
# A part of a JSON file is no JSON, so it has no schema.
PARTIAL_FILE_CONTENT = FILE_CONTENT | {MEDIA_TYPES[OutputFormat.JSON]: None}
ERRORS_CONTENT = {MEDIA_TYPES[OutputFormat.NDJSON]: _TEXT}
_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*", re.IGNORECASE)


class BatchResults:
    def __init__(self, batches: BatchFiles) -> None:
        self._batches = batches

    def file(self, job: Job, result: bytes) -> Response:
        """The file with the answers, or the part of it that `Range` names. result: the job's, as JSON.

        Raises NotAcceptableError if `Accept` excludes the file's format, GoneResultError if the file is lost.
        """
        about = msgspec.json.decode(result)["file"]
        output_format = OutputFormat(about["format"])
        media_type = MEDIA_TYPES[output_format]
        if preferred_media_type((media_type,)) is None:
            raise NotAcceptableError(
                f"Accept is {request.headers['Accept'][:80]!r}; the result of job {job.id} is {media_type}, the "
                "output_format that was asked for"
            )
        outcome = self._batches.outcome(job.id)
        path = None if outcome is None else self._batches.result(job.id, outcome.attempt, output_format)
        if path is None or not path.is_file():
            raise GoneResultError(f"the result file of job {job.id} no longer exists")
        if not _is_one_range(request.headers.get("Range", "")):
            request.environ.pop("HTTP_RANGE", None)  # ignored, as in RFC 9110 14.2; Werkzeug would return 416
        return send_file(
            path.absolute(),
            mimetype=media_type,
            as_attachment=True,
            download_name=f"{job.id}.{output_format}",
            conditional=True,
            etag=about["sha256"],
        )

    def errors(self, job: Job) -> Response:
        """The bad rows so far, one JSON object per line; nothing for a job that leaves no rows out."""
        paths = list(self._error_files(job)) if job.type is JobType.BATCH else []
        if job.type in (JobType.TRAINING, JobType.EVALUATION):
            paths = [self._batches.bad_rows_of_training(job.id)]
        response = Response(_contents(paths), mimetype=MEDIA_TYPES[OutputFormat.NDJSON])
        response.headers["Content-Disposition"] = f"attachment; filename={job.id}-errors.ndjson"
        return response

    def _error_files(self, job: Job) -> Iterator[Path]:
        outcome = self._batches.outcome(job.id)
        if outcome is not None:
            yield self._batches.bad_rows(job.id, outcome.attempt)
            return
        plan = self._batches.plan(job.id)
        if plan is None:
            return
        for file_range in plan.ranges:
            yield self._batches.bad_rows_of_part(job.id, plan.number, file_range.index)


def _is_one_range(text: str) -> bool:
    match = _ONE_RANGE.fullmatch(text)
    if match is None:
        return False
    first, last = match.groups()
    return int(first) <= int(last) if first and last else bool(first or last)


def _contents(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            yield from file_pieces(path)
        except FileNotFoundError:  # a chunk that has no bad rows or is not done
            continue


def file_pieces(path: Path, start: int = 0) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while piece := file.read(256 * 1024):
            yield piece
