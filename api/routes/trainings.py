"""`/v1/models/{m}/trainings`: an uploaded file in, a retraining job out."""

from pathlib import Path

from flask import Blueprint, request

from api.documents import Documents
from api.http.decoding import json_body, require_shallow
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.http.rendering import accepted
from api.schemas.headers import SubmitHeaders
from api.schemas.requests import TrainingRequest
from api.schemas.responses import JobBody, Problem
from api.services.submission import Submission, SubmitOptions, Submitted
from api.services.table_headers import columns_refused, csv_header, feature_findings, missing_column_at, ndjson_keys
from queuecast.domain.batch import FileFormat, training_format
from queuecast.domain.errors import Finding, InvalidInputError, UnknownFileError
from queuecast.domain.model import CHAMPION, Manifest
from queuecast.domain.work import TrainingWork
from queuecast.ports.files import FileStore, StoredFile
from queuecast.ports.jobs import IdempotencyKey


def trainings_blueprint(
    submission: Submission, files: FileStore, documents: Documents, *, max_body_bytes: int
) -> Blueprint:
    blueprint = Blueprint("trainings", __name__)

    @blueprint.post("/v1/models/<model>/trainings")
    @documents.route(
        tag="trainings",
        json=TrainingRequest,
        headers=SubmitHeaders,
        answers={202: JobBody, **dict.fromkeys((400, 404, 409, 410, 411, 413, 415, 422, 503), Problem)},
    )
    def train(model: str) -> JsonResponse:
        """Retrain the champion

        Clones the champion, fits it on the file without the held-out rows, and scores both on those.
        With `promote: auto` the new version becomes champion if it is not worse.
        """
        body = json_body(TrainingRequest, max_body_bytes)
        require_shallow(body.metadata, "/metadata")
        require_shallow(body.params, "/params")
        key = read_idempotency_key(request.get_data())
        submitted = submission.find_replay(key) or _submitted(model, body, key)
        return accepted(submitted.job, is_replay=submitted.is_replay)

    def _submitted(model: str, body: TrainingRequest, key: IdempotencyKey | None) -> Submitted:
        manifest, ref = submission.resolve(model, CHAMPION)
        stored = _stored(files, body.file_id)
        target = (body.target,) if isinstance(body.target, str) else tuple(body.target)
        _require_columns(_header(files.path(stored.id), stored), manifest, target)
        work = TrainingWork(stored.id, stored.sha256, target, body.params, body.promote)
        return submission.train(
            ref, work, SubmitOptions(body.metadata, body.expires_in_s, body.timeout_s, idempotency_key=key)
        )

    return blueprint


def _stored(files: FileStore, file_id: str) -> StoredFile:
    try:
        return files.stat(file_id)
    except UnknownFileError as error:
        raise InvalidInputError(error.detail, (Finding("/file_id", error.code, error.detail),)) from None


def _require_columns(header: list[str] | None, manifest: Manifest, target: tuple[str, ...]) -> None:
    """A file without the columns is refused before anything is queued. header: None if only the worker can read it."""
    findings = []
    names = [column.name for column in manifest.signature.columns]
    if header is None:
        header = [*names, *target]
    for name in target:
        if name not in header:
            findings.append(missing_column_at("/target", name))
        elif name in names:
            findings.append(Finding("/target", "is_feature", f"{name!r} is a column that the model takes"))
    findings += feature_findings(header, manifest.signature, target)
    if findings:
        raise columns_refused(findings, header, manifest.signature)


def _header(path: Path, stored: StoredFile) -> list[str] | None:
    """The names of the columns; None for Parquet, which takes pyarrow to read."""
    fmt = training_format(stored.name, stored.media_type)
    if fmt is FileFormat.PARQUET:
        return None
    return ndjson_keys(path) if fmt is FileFormat.NDJSON else csv_header(path)
