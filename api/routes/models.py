"""`/v1/models`: push versions, read them, move aliases and go back."""

from typing import Any

import msgspec
from flask import request

from api.dependencies import Dependencies
from api.http.decoding import json_body
from api.http.idempotency import read_idempotency_key
from api.http.incoming_files import MULTIPART, decode_form_field
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, etag, json_response, manifest_body, model_body, move_body
from api.http.request_headers import expected_generation
from api.openapi import error_groups, response_parts
from api.openapi.operations import Body, json_answer, json_request, operation, refusal
from api.schemas import examples
from api.schemas.fields import RowSchema
from api.schemas.headers import MatchHeaders, SubmitHeaders
from api.schemas.jobs import ImportJob
from api.schemas.requests import AliasRequest, PushForm, PushMetadata, RollbackRequest
from api.schemas.responses import History, Manifest, Model, ModelList, VersionList
from api.services.model_files import require_skops
from api.services.submission import SubmitOptions
from api.services.uploads import delete_files, discard_unless_accepted
from queuecast.domain.errors import (
    ConflictError,
    FilesFullError,
    Finding,
    InvalidInputError,
    LengthRequiredError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnavailableError,
    UnknownAliasError,
    UnknownVersionError,
    UnsupportedMediaError,
)
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.model import CHAMPION, AliasMove, previous_champion, require_name
from queuecast.domain.work import ImportWork

_MAX_BODY_BYTES = 64 * 1024
_MODEL_HEADERS = (response_parts.MODEL_TAG,)


class ModelRoutes:
    """Push versions of models, read them, and decide by aliases which version answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._models = dependencies.models
        self._aliases = dependencies.aliases
        self._submission = dependencies.submission
        self._uploads = dependencies.uploads
        self._files = dependencies.files
        self._clock = dependencies.clock

    @operation(
        "GET",
        "/v1/models",
        "models_list_models",
        answers={200: json_answer("The models.", ModelList)},
        refusals=(UnavailableError,),
    )
    def list_models(self) -> JsonResponse:
        """List models

        All models, by name.
        """
        names = self._models.models()
        models = [model_body(name, self._aliases.read(name), self._models.versions(name)) for name in names]
        return json_response(ModelList(models, None))

    @operation(
        "GET",
        "/v1/models/<model>",
        "models_read_model",
        answers={
            200: json_answer(
                "The model.",
                Model,
                _MODEL_HEADERS,
                (
                    response_parts.READ_VERSIONS,
                    response_parts.READ_LATEST,
                    response_parts.READ_SCHEMA,
                    response_parts.READ_HISTORY,
                    response_parts.MOVE_ALIAS,
                    response_parts.ROLL_BACK,
                ),
            )
        },
        refusals=error_groups.FINDING_A_MODEL,
    )
    def read_model(self, model: str) -> JsonResponse:
        """Read a model

        The ETag is the generation: how often an alias of the model has moved.
        """
        versions, aliases = self._models.versions(model), self._aliases.read(model)
        return json_response(model_body(model, aliases, versions), headers={"ETag": etag(aliases.generation)})

    @operation(
        "GET",
        "/v1/models/<model>/versions",
        "models_list_versions",
        answers={200: json_answer("The manifests.", VersionList)},
        refusals=error_groups.FINDING_A_MODEL,
    )
    def list_versions(self, model: str) -> JsonResponse:
        """List a model's versions, newest first

        With the manifest of each.
        """
        numbers, aliases = self._models.versions(model), self._aliases.read(model)
        manifests = [manifest_body(self._models.manifest(model, number), aliases) for number in reversed(numbers)]
        return json_response(VersionList(manifests, None))

    @operation(
        "POST",
        "/v1/models/<model>/versions",
        "models_push",
        parameters=(SubmitHeaders,),
        body=Body(
            {MULTIPART: PushForm},
            encoding={
                "model": "application/octet-stream",
                "example": "text/csv, application/vnd.queuecast.table+json",
                "metadata": "application/json",
            },
        ),
        answers={
            202: json_answer(
                "The job is accepted.", ImportJob, response_parts.SUBMIT_HEADERS, response_parts.SUBMIT_LINKS
            )
        },
        refusals=(
            *error_groups.SUBMITTING,
            refusal(UnsupportedMediaError, "pickle_refused"),
            refusal(UnsupportedMediaError, "not_skops"),
            refusal(InvalidInputError, "digest_mismatch"),
            FilesFullError,
        ),
    )
    def push(self, model: str) -> JsonResponse:
        """Push a model

        Send a form with the skops file (`model`), rows that it was fitted on (`example`: CSV, or the JSON table of the
        Python client) and `metadata`. An import job loads and tries the model. The first version of a name becomes its
        champion.
        """
        require_name(model, "model")
        form = self._uploads.form()
        metadata = decode_form_field(PushMetadata, str(form.get("metadata") or "{}"), "metadata")
        with discard_unless_accepted(self._files) as stored_files:
            for part in [_file_part(form, name) for name in ("model", "example")]:
                stored_files.append(self._uploads.keep(part))
            model_file, example_file = stored_files
            require_skops(self._files.path(model_file.id))
            key = read_idempotency_key(model_file.sha256, example_file.sha256, msgspec.json.encode(metadata))
            work = _import_work(model_file.id, example_file.id, metadata)
            submitted = self._submission.find_replay(key) or self._submission.import_model(
                model, work, SubmitOptions(idempotency_key=key)
            )
        if submitted.is_replay:
            delete_files(self._files, stored_files)
        return accepted(submitted.job, is_replay=submitted.is_replay)

    @operation(
        "GET",
        "/v1/models/<model>/versions/<int:version>",
        "models_read_version",
        answers={200: json_answer("The manifest.", Manifest)},
        refusals=(*error_groups.FINDING_A_MODEL, UnknownVersionError),
    )
    def read_version(self, model: str, version: int) -> JsonResponse:
        """Read a version's manifest

        Everything that is known about the version. It never changes, except for the aliases that name it.
        """
        return json_response(manifest_body(self._models.manifest(model, version), self._aliases.read(model)))

    @operation(
        "GET",
        "/v1/models/<model>/versions/<int:version>/schema",
        "models_read_version_schema",
        answers={200: json_answer("The JSON Schema.", RowSchema)},
        refusals=(*error_groups.FINDING_A_MODEL, UnknownVersionError),
    )
    def read_version_schema(self, model: str, version: int) -> JsonResponse:
        """Read the JSON Schema of a version's rows

        It describes one element of `inputs` for this version.
        """
        return json_response(self._submission.resolve(model, version)[0].signature.json_schema())

    @operation(
        "GET",
        "/v1/models/<model>/schema",
        "models_read_schema",
        answers={200: json_answer("The JSON Schema.", RowSchema)},
        refusals=(*error_groups.FINDING_A_MODEL, UnknownAliasError),
    )
    def read_schema(self, model: str) -> JsonResponse:
        """Read the JSON Schema of the champion's rows

        It describes one element of `inputs` for a request that names no version.
        """
        return json_response(self._submission.resolve(model, CHAMPION)[0].signature.json_schema())

    @operation(
        "GET",
        "/v1/models/<model>/history",
        "models_read_history",
        answers={200: json_answer("The moves.", History)},
        refusals=error_groups.FINDING_A_MODEL,
    )
    def read_history(self, model: str) -> JsonResponse:
        """List the moves of a model's aliases, oldest first

        Which version became champion when, and why.
        """
        self._models.versions(model)
        return json_response(History([move_body(move) for move in self._aliases.history(model)], None))

    @operation(
        "PUT",
        "/v1/models/<model>/aliases/<alias>",
        "models_move_alias",
        parameters=(MatchHeaders,),
        body=json_request(AliasRequest, examples.ALIAS),
        answers={
            200: json_answer(
                "The model as it is now.",
                Model,
                _MODEL_HEADERS,
                (response_parts.READ_HISTORY, response_parts.ROLL_BACK),
            )
        },
        refusals=(
            *error_groups.READING_A_BODY,
            *error_groups.FINDING_A_MODEL,
            InvalidInputError,
            UnknownVersionError,
            PreconditionRequiredError,
            PreconditionFailedError,
        ),
    )
    def move_alias(self, model: str, alias: str) -> JsonResponse:
        """Point an alias at a version

        `If-Match` carries the ETag of the model as it was read: if an alias has moved since, the request gets 412. `*`
        moves the alias in any case.
        """
        body = json_body(AliasRequest, _MAX_BODY_BYTES)
        if_match = request.headers.get("If-Match")
        if if_match is None:
            raise PreconditionRequiredError('If-Match is missing; send the ETag of the model, such as "3", or *')
        expected = expected_generation(if_match)
        require_name(alias, "alias")
        self._models.manifest(model, body.version)
        return self._move(model, alias, body.version, body.reason, expected, "put")

    @operation(
        "POST",
        "/v1/models/<model>/rollback",
        "models_rollback",
        body=json_request(RollbackRequest, examples.ROLLBACK, is_required=False),
        answers={
            200: json_answer("The model as it is now.", Model, _MODEL_HEADERS, (response_parts.READ_HISTORY,)),
        },
        refusals=(
            *(error for error in error_groups.READING_A_BODY if error is not LengthRequiredError),
            *error_groups.FINDING_A_MODEL,
            InvalidInputError,
            ConflictError,
            PreconditionFailedError,
        ),
    )
    def rollback(self, model: str) -> JsonResponse:
        """Go back to the previous champion

        The body may be empty. Going back twice undoes two promotions.
        """
        body = json_body(RollbackRequest, _MAX_BODY_BYTES) if request.content_length else RollbackRequest()
        self._models.versions(model)
        generation = self._aliases.read(model).generation
        previous = previous_champion(self._aliases.history(model))
        if previous is None:
            raise ConflictError(f"model {model} has had one champion only; there is nothing to go back to")
        return self._move(model, CHAMPION, previous, body.reason, generation, "rollback")

    def _move(
        self, model: str, alias: str, version: int, reason: str, expected: int | None, action: str
    ) -> JsonResponse:
        """expected: the generation that the caller has read; None for any."""
        aliases = self._aliases.read(model)
        if expected is not None and expected != aliases.generation:
            raise PreconditionFailedError(
                f"model {model} is at generation {aliases.generation}, If-Match says {expected}; read it again"
            )
        self._aliases.move(
            model,
            AliasMove(
                generation=aliases.generation + 1,
                alias=alias,
                version=version,
                previous=aliases.versions.get(alias),
                at=self._clock(),
                action=action,
                reason=reason,
            ),
        )
        return self.read_model(model)


def _file_part(form: dict[str, Any], name: str) -> Any:
    part = form.get(name)
    if part is None or isinstance(part, str):
        detail = f"the form has no file {name!r}; it needs the files 'model' and 'example'"
        raise InvalidInputError(detail, (Finding(f"/{name}", "missing", detail),))
    return part


def _import_work(model_file_id: str, example_file_id: str, metadata: PushMetadata) -> ImportWork:
    holdout = metadata.holdout
    rule = None if holdout is None else HoldoutRule(holdout.fraction, tuple(holdout.columns), holdout.method)
    return ImportWork(model_file_id, example_file_id, tuple(metadata.target or ()), rule, metadata.description)
