"""`/v1/models/{m}/batches`: a file of rows in, a job out; and the files that such a job leaves."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from flask import Blueprint, Response, request, send_file
from werkzeug.datastructures import MIMEAccept

from api.documents import Documents
from api.http.decoding import json_body, require_shallow
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.http.rendering import accepted
from api.http.row_decoding import require_rows
from api.schemas.headers import SubmitHeaders
from api.schemas.requests import BatchRequest
from api.schemas.responses import JobBody, Problem
from api.services.inline_rows import store_rows
from api.services.submission import Submission, SubmitOptions, Submitted, require_method
from api.services.table_headers import columns_refused, csv_header, feature_findings, missing_column_at
from api.services.uploads import delete_files, discard_unless_accepted
from queuecast.domain.batch import FileFormat, OutputFormat, file_format
from queuecast.domain.errors import (
    Finding,
    GoneResultError,
    InvalidInputError,
    NotAcceptableError,
    UnknownFileError,
    UnsupportedMediaError,
)
from queuecast.domain.job import Job, JobType
from queuecast.domain.model import Manifest
from queuecast.domain.work import BatchWork, batch_of_rows
from queuecast.ports.batches import BatchFiles
from queuecast.ports.files import FileStore, StoredFile
from queuecast.ports.jobs import IdempotencyKey

MEDIA_TYPES = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
PIECE_BYTES = 256 * 1024
_ONE_RANGE = re.compile(r"\s*bytes\s*=[^,]*$", re.IGNORECASE)


def batches_blueprint(
    submission: Submission, files: FileStore, documents: Documents, *, max_body_bytes: int
) -> Blueprint:
    blueprint = Blueprint("batches", __name__)

    @blueprint.post("/v1/models/<model>/batches")
    @documents.route(
        tag="batches",
        json=BatchRequest,
        headers=SubmitHeaders,
        answers={202: JobBody, **dict.fromkeys((400, 404, 410, 411, 413, 415, 422, 503), Problem)},
    )
    def submit(model: str) -> JsonResponse:
        """Predict a file

        An uploaded file of CSV, NDJSON or Parquet, or rows, cut in chunks that all workers share. The result is a file
        in `output_format`, in the order of the rows; rows that do not fit are left out and listed apart.
        """
        body = json_body(BatchRequest, max_body_bytes)
        require_shallow(body.metadata, "/metadata")
        key = read_idempotency_key(request.get_data())
        submitted = submission.find_replay(key) or _submitted(model, body, key)
        return accepted(submitted.job, is_replay=submitted.is_replay)

    def _submitted(model: str, body: BatchRequest, key: IdempotencyKey | None) -> Submitted:
        if (body.file_id is None) == (not bytes(body.inputs)):
            detail = "found " + ("neither" if body.file_id is None else "both") + ", expected one of file_id and inputs"
            raise InvalidInputError(detail, (Finding("/file_id", "invalid", detail),))
        manifest, ref = submission.resolve(model, body.version)
        require_method(manifest, body.method)
        stored, found_format = _source(body, manifest)
        work = BatchWork(
            body.method,
            stored.id,
            stored.sha256,
            found_format,
            body.output_format,
            body.on_error,
            body.id_column,
        )
        is_own = body.file_id is None
        terms = SubmitOptions(
            body.metadata,
            body.expires_in_s,
            body.timeout_s,
            body.priority,
            batch_of_rows(stored.id) if is_own else None,
            key,
        )
        with discard_unless_accepted(files) as kept:
            kept.extend([stored] if is_own else [])
            submitted = submission.batch(ref, work, terms)
        if submitted.is_replay:
            delete_files(files, kept)
        return submitted

    def _source(body: BatchRequest, manifest: Manifest) -> tuple[StoredFile, FileFormat]:
        if body.file_id is None:
            return _kept_rows(bytes(body.inputs), body, manifest), FileFormat.NDJSON
        try:
            stored = files.stat(body.file_id or "")
            path = files.path(stored.id)  # counts as a use: the workers may only read
            found_format = file_format(stored.name, stored.media_type)
        except (UnknownFileError, UnsupportedMediaError) as error:
            raise InvalidInputError(error.detail, (Finding("/file_id", error.code, error.detail),)) from None
        if found_format is FileFormat.CSV:
            _require_columns(csv_header(path), manifest, body.id_column)
        return stored, found_format

    def _kept_rows(rows: bytes, body: BatchRequest, manifest: Manifest) -> StoredFile:
        """The rows of a request, which fit the signature, as a file with one a line."""
        _, rows = require_rows(manifest.signature, rows, max_rows=max_body_bytes)
        if body.id_column is not None and body.id_column not in {c.name for c in manifest.signature.columns}:
            detail = f"the rows have no column {body.id_column!r} beside those of the model"
            raise InvalidInputError(detail, (Finding("/id_column", "missing_column", detail),))
        return store_rows(files, rows)

    return blueprint


def _require_columns(header: list[str], manifest: Manifest, id_column: str | None) -> None:
    """Raises InvalidInputError for a file that every worker would refuse."""
    findings = feature_findings(header, manifest.signature, () if id_column is None else (id_column,))
    if id_column is not None and id_column not in header:
        findings.append(missing_column_at("/id_column", id_column))
    if findings:
        raise columns_refused(findings, header, manifest.signature)


class BatchResults:
    """What batches have written, as answers."""

    def __init__(self, batches: BatchFiles) -> None:
        self._batches = batches

    def file(self, job: Job, result: bytes) -> Response:
        """The result's file, or the part of it that `Range` names. result: what the job's record says of it.

        Raises NotAcceptableError when the caller accepts only other formats, GoneResultError without the file.
        """
        about = msgspec.json.decode(result)["file"]
        found_format = OutputFormat(about["format"])
        media_type = MEDIA_TYPES[found_format]
        if "Accept" in request.headers and not _accepts(media_type):
            raise NotAcceptableError(
                f"Accept is {request.headers['Accept'][:80]!r}; the result of job {job.id} is {media_type}, the "
                "output_format that was asked for"
            )
        outcome = self._batches.outcome(job.id)
        path = None if outcome is None else self._batches.result(job.id, outcome.attempt, found_format)
        if path is None or not path.is_file():
            raise GoneResultError(f"the file with the result of job {job.id} is not there any more")
        if not _ONE_RANGE.match(request.headers.get("Range", "")):
            request.environ.pop("HTTP_RANGE", None)  # ignored, as RFC 9110 14.2 wants it; Werkzeug answers 416
        return send_file(
            path.absolute(),
            mimetype=media_type,
            as_attachment=True,
            download_name=f"{job.id}.{found_format}",
            conditional=True,
            etag=about["sha256"],
        )

    def errors(self, job: Job) -> Response:
        paths = list(self._error_files(job)) if job.type is JobType.BATCH else []
        response = Response(_contents(paths), mimetype=MEDIA_TYPES["ndjson"])
        response.headers["Content-Disposition"] = f"attachment; filename={job.id}-errors.ndjson"
        return response

    def _error_files(self, job: Job) -> Iterator[Path]:
        outcome = self._batches.outcome(job.id)
        if outcome is not None:
            yield self._batches.errors(job.id, outcome.attempt)
            return
        plan = self._batches.plan(job.id)
        if plan is None:
            return
        for cut in plan.cuts:
            yield self._batches.bad_rows(job.id, plan.number, cut.index)


def _accepts(media_type: str) -> bool:
    """Whether `Accept` takes it with any parameters: `text/csv;charset=utf-8` is what there is."""
    ranges = [(accepted.partition(";")[0].strip(), quality) for accepted, quality in request.accept_mimetypes]
    return MIMEAccept(ranges).quality(media_type) > 0


def _contents(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece
        except FileNotFoundError:  # a chunk without bad rows, or one that is not done
            continue
