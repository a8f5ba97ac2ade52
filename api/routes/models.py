"""`/v1/models`: pushing a version, reading what there is, moving an alias and going back."""

from pathlib import Path
from typing import Any

import msgspec
from flask import Blueprint, request

from api.documents import Documents
from api.http.decoding import json_body
from api.http.idempotency import read_idempotency_key
from api.http.incoming_files import Uploads, decode_form_field
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, etag, json_response, manifest_body, model_body, move_body
from api.http.request_headers import expected_generation
from api.schemas.headers import MatchHeaders, SubmitHeaders
from api.schemas.requests import AliasRequest, AnyJson, PushForm, PushMetadata, RollbackRequest
from api.schemas.responses import HistoryList, JobBody, ManifestBody, ModelBody, ModelList, Problem, VersionList
from api.services.submission import Submission, SubmitOptions
from api.services.uploads import delete_files, discard_unless_accepted
from queuecast.domain.errors import (
    ConflictError,
    Finding,
    InvalidInputError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnsupportedMediaError,
)
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.model import CHAMPION, AliasMove, previous_champion, require_name
from queuecast.domain.pickles import is_pickle
from queuecast.domain.work import ImportWork
from queuecast.ports.aliases import AliasStore
from queuecast.ports.clock import Clock
from queuecast.ports.files import FileStore
from queuecast.ports.models import ModelRegistry

ARCHIVE_END_BYTES = 4 * 2**20  # the list of an archive's entries is at its end: 50 bytes each and a name
END_RECORD_BYTES = 22 + 2**16  # the last record of a zip archive and its longest comment (APPNOTE.TXT 4.3.16)
SMALL_BODY_BYTES = 64 * 1024
CONVERT = (
    'convert it where you trust it: python -c "import joblib, skops.io as sio; '
    "sio.dump(joblib.load('model.joblib'), 'model.skops')\""
)


class ModelViews:
    """Views that need the registry and the aliases, and what they share."""

    def __init__(self, models: ModelRegistry, aliases: AliasStore, clock: Clock) -> None:
        self._models = models
        self._aliases = aliases
        self._clock = clock

    def all(self) -> JsonResponse:
        found = [
            model_body(name, self._aliases.read(name), self._models.versions(name)) for name in self._models.models()
        ]
        return json_response(ModelList(found, None))

    def one(self, model: str) -> JsonResponse:
        versions, aliases = self._models.versions(model), self._aliases.read(model)
        return json_response(model_body(model, aliases, versions), headers={"ETag": etag(aliases.generation)})

    def versions(self, model: str) -> JsonResponse:
        numbers, aliases = self._models.versions(model), self._aliases.read(model)
        found = [manifest_body(self._models.manifest(model, number), aliases) for number in reversed(numbers)]
        return json_response(VersionList(found, None))

    def version(self, model: str, version: int) -> JsonResponse:
        return json_response(manifest_body(self._models.manifest(model, version), self._aliases.read(model)))

    def history(self, model: str) -> JsonResponse:
        self._models.versions(model)
        return json_response(HistoryList([move_body(move) for move in self._aliases.history(model)], None))

    def move(self, model: str, alias: str, version: int, reason: str, expected: int | None) -> JsonResponse:
        require_name(alias, "alias")
        self._models.manifest(model, version)
        return self._moved(model, alias, version, reason, expected, "put")

    def rollback(self, model: str, reason: str) -> JsonResponse:
        self._models.versions(model)
        present = self._aliases.read(model)
        previous = previous_champion(self._aliases.history(model))
        if previous is None:
            raise ConflictError(f"model {model} has had one champion only; there is nothing to go back to")
        return self._moved(model, CHAMPION, previous, reason, present.generation, "rollback")

    def _moved(
        self, model: str, alias: str, version: int, reason: str, expected: int | None, action: str
    ) -> JsonResponse:
        present = self._aliases.read(model)
        if expected is not None and expected != present.generation:
            raise PreconditionFailedError(
                f"model {model} is at generation {present.generation}, If-Match says {expected}; read it again"
            )
        self._aliases.move(
            model,
            AliasMove(
                generation=present.generation + 1,
                alias=alias,
                version=version,
                previous=present.versions.get(alias),
                at=self._clock(),
                action=action,
                reason=reason,
            ),
        )
        return self.one(model)


def models_blueprint(
    views: ModelViews, submission: Submission, uploads: Uploads, files: FileStore, documents: Documents
) -> Blueprint:
    blueprint = Blueprint("models", __name__, url_prefix="/v1/models")
    found = {404: Problem, 503: Problem}

    @blueprint.get("")
    @documents.route(tag="models", answers={200: ModelList, 503: Problem})
    def list_models() -> JsonResponse:
        """List models"""
        return views.all()

    @blueprint.get("/<model>")
    @documents.route(tag="models", answers={200: ModelBody, **found})
    def read_model(model: str) -> JsonResponse:
        """Read a model

        The ETag is the generation: how often an alias of the model has moved.
        """
        return views.one(model)

    @blueprint.get("/<model>/versions")
    @documents.route(tag="models", answers={200: VersionList, **found})
    def list_versions(model: str) -> JsonResponse:
        """List a model's versions, newest first"""
        return views.versions(model)

    @blueprint.get("/<model>/versions/<int:version>")
    @documents.route(tag="models", answers={200: ManifestBody, **found})
    def read_version(model: str, version: int) -> JsonResponse:
        """Read a version's manifest"""
        return views.version(model, version)

    @blueprint.get("/<model>/versions/<int:version>/schema")
    @documents.route(tag="models", answers={200: dict[str, AnyJson], **found})
    def read_version_schema(model: str, version: int) -> JsonResponse:
        """Read the JSON Schema of a version's rows"""
        return json_response(submission.resolve(model, version)[0].signature.json_schema())

    @blueprint.get("/<model>/schema")
    @documents.route(tag="models", answers={200: dict[str, AnyJson], **found})
    def read_schema(model: str) -> JsonResponse:
        """Read the JSON Schema of the champion's rows"""
        return json_response(submission.resolve(model, CHAMPION)[0].signature.json_schema())

    @blueprint.get("/<model>/history")
    @documents.route(tag="models", answers={200: HistoryList, **found})
    def read_history(model: str) -> JsonResponse:
        """List the moves of a model's aliases, oldest first"""
        return views.history(model)

    @blueprint.put("/<model>/aliases/<alias>")
    @documents.route(
        tag="models",
        json=AliasRequest,
        headers=MatchHeaders,
        answers={200: ModelBody, **dict.fromkeys((400, 404, 409, 412, 415, 422, 428, 503), Problem)},
    )
    def move_alias(model: str, alias: str) -> JsonResponse:
        """Point an alias at a version

        `If-Match` carries the ETag that was read; 412 when an alias moved since. `*` moves it whatever happened.
        """
        body = json_body(AliasRequest, SMALL_BODY_BYTES)
        if_match = request.headers.get("If-Match")
        if if_match is None:
            raise PreconditionRequiredError('If-Match is missing; send the ETag of the model, such as "3", or *')
        return views.move(model, alias, body.version, body.reason, expected_generation(if_match))

    @blueprint.post("/<model>/rollback")
    @documents.route(
        tag="models",
        json=RollbackRequest,
        answers={200: ModelBody, **dict.fromkeys((400, 404, 409, 412, 415, 422, 503), Problem)},
    )
    def rollback(model: str) -> JsonResponse:
        """Go back to the champion before

        The body may be empty. Going back twice goes back two promotions.
        """
        body = json_body(RollbackRequest, SMALL_BODY_BYTES) if request.content_length else RollbackRequest()
        return views.rollback(model, body.reason)

    @blueprint.post("/<model>/versions")
    @documents.route(
        tag="models",
        form=PushForm,
        headers=SubmitHeaders,
        answers={202: JobBody, **dict.fromkeys((400, 410, 411, 413, 415, 422, 503), Problem)},
    )
    def push(model: str) -> JsonResponse:
        """Push a model

        A form with the skops file (`model`), rows it was fitted on (`example`: CSV or a JSON table) and `metadata`.
        An import job loads and tries it; the first version of a name becomes its champion.
        """
        require_name(model, "model")
        form = uploads.form()
        metadata = decode_form_field(PushMetadata, str(form.get("metadata") or "{}"), "metadata")
        with discard_unless_accepted(files) as kept:
            for part in [_part(form, name) for name in ("model", "example")]:
                kept.append(uploads.keep(part))
            _require_skops(files.path(kept[0].id))
            key = read_idempotency_key(*(stored.sha256 for stored in kept), msgspec.json.encode(metadata))
            work = _import_work(kept[0].id, kept[1].id, metadata)
            submitted = submission.find_replay(key) or submission.import_model(
                model, work, SubmitOptions(idempotency_key=key)
            )
        if submitted.is_replay:
            delete_files(files, kept)
        return accepted(submitted.job, is_replay=submitted.is_replay)

    return blueprint


def _part(form: dict[str, Any], name: str) -> Any:
    part = form.get(name)
    if part is None or isinstance(part, str):
        detail = f"the form has no file {name!r}; it needs the files 'model' and 'example'"
        raise InvalidInputError(detail, (Finding(f"/{name}", "missing", detail),))
    return part


def _import_work(model_file_id: str, example_file_id: str, metadata: PushMetadata) -> ImportWork:
    said = metadata.holdout
    rule = None if said is None else HoldoutRule(said.fraction, tuple(said.columns), said.method)
    return ImportWork(model_file_id, example_file_id, tuple(metadata.target or ()), rule, metadata.description)


def _require_skops(path: Path) -> None:
    """Raises UnsupportedMediaError unless the file looks like skops's: a zip archive that names a schema at its end.

    It is not opened here: an archive can be made to unpack, or to list, more than the gateway has memory for.
    """
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(max(0, path.stat().st_size - ARCHIVE_END_BYTES))
        end = file.read()
    if is_pickle(start):
        raise UnsupportedMediaError(
            f"the model file is a pickle (or joblib's compressed one), which can run any code; {CONVERT}",
            code="pickle_refused",
        )
    is_whole = start.startswith(b"PK\x03\x04") and b"PK\x05\x06" in end[-END_RECORD_BYTES:]
    if not is_whole or b"schema.json" not in end:
        raise UnsupportedMediaError(
            "the model file is not one of skops, or not a whole one; write one with skops.io.dump", code="not_skops"
        )
