"""`/v1/models/{model}/batches`: a file of rows in, a job out."""

from typing import Any

from flask import request

from api.dependencies import Dependencies
from api.http.decoding import decode_object, json_body
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.http.row_decoding import CheckedRows, require_rows
from api.openapi import error_groups
from api.openapi.operations import json_request, operation, submit_answers
from api.openapi.response_parts import READ_ERRORS
from api.routes.submit_answers import answer_submit
from api.schemas import examples
from api.schemas.headers import SubmitHeaders
from api.schemas.jobs import BatchJob
from api.schemas.requests import BatchOfFile, BatchOfRows, BatchRequest
from api.services.inline_rows import store_rows, without_ids
from api.services.job_files import delete_files, discard_unless_accepted, refusing_file_id
from api.services.submission import require_method
from api.services.submit_options import SubmitOptions, Submitted
from api.services.table_headers import (
    csv_findings,
    csv_header,
    missing_column_at,
    names_in_ndjson,
)
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.errors import (
    FilesFullError,
    Finding,
    InvalidInputError,
    UnknownAliasError,
    mismatch,
    short_name,
)
from queuecast.domain.file_formats import FileFormat, file_format
from queuecast.domain.findings.bounds import first_findings
from queuecast.domain.findings.nearest_names import with_nearest
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Signature
from queuecast.domain.work import BatchWork, batch_of_rows
from queuecast.ports.files import StoredFile
from queuecast.ports.jobs import IdempotencyKey
from queuecast.tables.column_names import columns_refused, ignored_columns


class BatchRoutes:
    """Predict the rows of a file; the result is a file too."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._files = dependencies.files
        self._max_body_bytes = dependencies.limits.max_body_bytes

    @operation(
        "POST",
        "/v1/models/<model>/batches",
        "batches_submit",
        parameters=(SubmitHeaders,),
        body=json_request((BatchOfFile, BatchOfRows), examples.BATCH),
        answers=submit_answers(BatchJob, (READ_ERRORS,)),
        refusals=(
            *error_groups.SUBMITTING,
            *error_groups.FINDING_A_VERSION,
            UnknownAliasError,
            FilesFullError,
        ),
    )
    def submit(self, model: str) -> JsonResponse:
        """Predict a file

        Takes an uploaded file of CSV, NDJSON or Parquet, or rows. The rows are cut into chunks that all workers share.
        The result is a file in `output_format`, in the order of the rows. Rows that do not fit are left out of it and
        listed separately.
        """
        body = json_body(BatchRequest, self._max_body_bytes)
        metadata = decode_object(body.metadata, "/metadata")
        key = read_idempotency_key(request.get_data())
        submitted = self._submission.find_repeated(key) or self._submit(model, body, metadata, key)
        return answer_submit(submitted, self._watcher)

    def _submit(
        self, model: str, body: BatchRequest, metadata: dict[str, Any], key: IdempotencyKey | None
    ) -> Submitted:
        if (body.file_id is None) == (not bytes(body.inputs)):
            found = "neither" if body.file_id is None else "both"
            finding = mismatch("/file_id", "invalid", found, "one of file_id and inputs")
            raise InvalidInputError(finding.detail, (finding,))
        manifest, ref = self._submission.resolve(model, body.version)
        require_method(manifest, body.method)
        if body.file_id is None:
            (stored, ignored), rows_format = self._store_rows(body, manifest), FileFormat.NDJSON
            job_id, own_files = batch_of_rows(stored.id), [stored]
        else:
            stored, rows_format, ignored = self._uploaded(body.file_id, body, manifest)
            job_id, own_files = None, []
        work = BatchWork(
            body.method,
            stored.id,
            stored.sha256,
            rows_format,
            body.output_format,
            body.on_error,
            body.id_column,
            extra_columns=body.extra_columns,
        )
        options = SubmitOptions(metadata, body.expires_in_s, body.timeout_s, body.priority, job_id, key, ignored)
        with discard_unless_accepted(self._files) as stored_files:
            stored_files.extend(own_files)
            submitted = self._submission.batch(ref, work, options)
        if submitted.is_repeated:
            delete_files(self._files, stored_files)
        return submitted

    def _uploaded(
        self, file_id: str, body: BatchRequest, manifest: Manifest
    ) -> tuple[StoredFile, FileFormat, IgnoredColumns | None]:
        with refusing_file_id():
            stored = self._files.stat(file_id)
            path = self._files.path(stored.id)  # counts as a use, which workers cannot record: they only read
            rows_format = file_format(stored.name, stored.media_type)
        if rows_format is FileFormat.PARQUET:  # only a worker reads it
            return stored, rows_format, None
        if rows_format is FileFormat.CSV:
            names = csv_header(path)
            _require_columns(names, manifest, body.id_column)
        else:
            names = names_in_ndjson(path)
        ids = () if body.id_column is None else (body.id_column,)
        return stored, rows_format, ignored_columns(names, manifest.signature, body.extra_columns, ids, "/file_id")

    def _store_rows(self, body: BatchRequest, manifest: Manifest) -> tuple[StoredFile, IgnoredColumns | None]:
        """The rows of the request, once they fit the signature, as a file with one row per line."""
        signature, rows, name = manifest.signature, bytes(body.inputs), body.id_column
        if name is None or (signature.layout.has_columns and name in {each.name for each in signature.read_columns}):
            _, rows, ignored = self._checked(signature, rows, body)
            return store_rows(self._files, rows), ignored
        features, ids = without_ids(rows, name)
        _, features, ignored = self._checked(signature, features, body)
        if not any(ids):
            short = short_name(name)
            missing = Finding("/id_column", "missing_column", f"no row has the column {short!r}", column=short)
            raise with_nearest(first_findings([missing]), (), () if ignored is None else ignored.names).refusal()
        return store_rows(self._files, features, ids), ignored

    def _checked(self, signature: Signature, rows: bytes, body: BatchRequest) -> CheckedRows:
        return require_rows(signature, rows, self._max_body_bytes, body.extra_columns, keeps_names=True)


def _require_columns(header: list[str], manifest: Manifest, id_column: str | None) -> None:
    """Raises InvalidInputError for a file that every worker would refuse."""
    findings = csv_findings(header, manifest.signature, () if id_column is None else (id_column,))
    if id_column is not None and id_column not in header:
        findings.append(missing_column_at("/id_column", id_column))
    if findings:
        raise columns_refused(findings, header, manifest.signature)
