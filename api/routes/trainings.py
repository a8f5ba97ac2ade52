"""`/v1/models/{model}/trainings`: an uploaded file in, a retraining job out."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import request

from api.dependencies import Dependencies
from api.http.decoding import decode_object, json_body
from api.http.gate_changes import merged_gate
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.openapi import error_groups
from api.openapi.operations import json_request, operation, submit_answers
from api.routes.submit_answers import answer_submit
from api.schemas import examples
from api.schemas.headers import SubmitHeaders
from api.schemas.jobs import TrainingJob
from api.schemas.requests import TrainingRequest
from api.services.job_files import refusing_file_id
from api.services.submit_options import SubmitOptions, Submitted
from api.services.table_headers import (
    csv_findings,
    csv_header,
    feature_findings,
    missing_column_at,
    names_in_ndjson,
    ndjson_keys,
)
from queuecast.domain.errors import (
    ConflictError,
    Finding,
    InvalidInputError,
    UnknownAliasError,
    mismatch,
    short_name,
)
from queuecast.domain.file_formats import FileFormat, training_format
from queuecast.domain.model import CHAMPION, Manifest
from queuecast.domain.signature import Layout
from queuecast.domain.training_params import unknown_params
from queuecast.domain.work import TrainingWork
from queuecast.ports.jobs import IdempotencyKey
from queuecast.tables.column_names import columns_refused, ignored_columns


class TrainingRoutes:
    """Retrain the champion of a model."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._files = dependencies.files
        self._max_body_bytes = dependencies.limits.max_body_bytes

    @operation(
        "POST",
        "/v1/models/<model>/trainings",
        "trainings_train",
        parameters=(SubmitHeaders,),
        body=json_request(TrainingRequest, examples.TRAINING),
        answers=submit_answers(TrainingJob),
        refusals=(*error_groups.SUBMITTING, *error_groups.FINDING_A_VERSION, UnknownAliasError, ConflictError),
    )
    def train(self, model: str) -> JsonResponse:
        """Retrain the champion

        Clones the champion, fits it on the rows of the file that are not held out, and scores both on the held-out
        rows. With `promote: auto` the new version becomes champion if it is not worse. With `on_error: skip`, rows that
        do not fit are left out; the result says how many, and `GET /v1/jobs/{job_id}/errors` lists them.
        """
        body = json_body(TrainingRequest, self._max_body_bytes)
        metadata = decode_object(body.metadata, "/metadata")
        params = decode_object(body.params, "/params")
        _require_short(body.target)
        key = read_idempotency_key(request.get_data())
        submitted = self._submission.find_repeated(key) or self._submit(model, body, metadata, params, key)
        return answer_submit(submitted, self._watcher)

    def _submit(
        self,
        model: str,
        body: TrainingRequest,
        metadata: dict[str, Any],
        params: dict[str, Any],
        key: IdempotencyKey | None,
    ) -> Submitted:
        manifest, ref = self._submission.resolve(model, CHAMPION)
        _require_known(params, manifest)
        gate = merged_gate(body.gate, manifest.gate)
        with refusing_file_id():
            stored = self._files.stat(body.file_id)
            path = self._files.path(stored.id)
        target = (body.target,) if isinstance(body.target, str) else tuple(body.target)
        table_format = training_format(stored.name, stored.media_type)
        header = _header(path, table_format)
        _require_columns(header, manifest, target, table_format)
        names = header if header is None or table_format is FileFormat.CSV else names_in_ndjson(path)
        ignored = ignored_columns(names or [], manifest.signature, body.extra_columns, target, "/file_id")
        work = TrainingWork(
            stored.id, stored.sha256, target, params, body.promote, body.extra_columns, body.on_error, gate
        )
        options = SubmitOptions(
            metadata, body.expires_in_s, body.timeout_s, idempotency_key=key, ignored_columns=ignored
        )
        return self._submission.train(ref, work, options)


def _require_short(target: str | list[str]) -> None:
    """Redis holds the names until the training ends, and only a worker can compare them with a Parquet file."""
    max_chars = 128 * 1024
    n_chars = sum(map(len, target))
    if n_chars > max_chars:
        finding = mismatch("/target", "too_long", f"names of {n_chars} characters", f"at most {max_chars}")
        raise InvalidInputError(finding.detail, (finding,))


def _require_known(params: dict[str, Any], manifest: Manifest) -> None:
    """Raises InvalidInputError for parameters that the champion's estimator lacks."""
    findings = unknown_params(params, manifest.params)
    if findings:
        raise InvalidInputError(f"{findings[0].pointer}: {findings[0].detail}", findings)


def _require_columns(
    header: list[str] | None, manifest: Manifest, target: tuple[str, ...], table_format: FileFormat
) -> None:
    """Raises InvalidInputError for a file without the columns. header: None if only a worker can read it."""
    signature = manifest.signature
    columns = signature.objects.keys if signature.layout is Layout.OBJECT else signature.read_columns
    names = [column.name for column in columns]
    if header is None:
        header = [*names, *target]
    find = csv_findings if table_format is FileFormat.CSV else feature_findings
    findings = [*_target_findings(header, names, target), *find(header, signature, target)]
    if findings:
        raise columns_refused(findings, header, signature)


def _target_findings(header: list[str], names: list[str], target: tuple[str, ...]) -> Iterator[Finding]:
    present, features = set(header), set(names)  # header and target may each have hundreds of thousands of names
    for name in target:
        if name not in present:
            yield missing_column_at("/target", name)
        elif name in features:
            short = short_name(name)
            yield Finding("/target", "is_feature", f"{short!r} is a column that the model takes", column=short)


def _header(path: Path, table_format: FileFormat) -> list[str] | None:
    """The names of the columns; None for Parquet, which only pyarrow can read."""
    if table_format is FileFormat.PARQUET:
        return None
    return ndjson_keys(path) if table_format is FileFormat.NDJSON else csv_header(path)
