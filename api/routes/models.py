"""`/v1/models`: push versions and read them."""

import math

import msgspec

from api.dependencies import Dependencies
from api.http.decoding import read_query
from api.http.idempotency import read_idempotency_key
from api.http.incoming_files import MULTIPART, decode_form_field, form_files
from api.http.json_response import JsonResponse
from api.http.rendering import etag, json_response, manifest_body, model_body
from api.openapi import error_groups, response_parts
from api.openapi.operations import Body, json_answer, operation, refusal, submit_answers
from api.routes.submit_answers import answer_submit
from api.schemas.fields import RowSchema
from api.schemas.headers import SubmitHeaders
from api.schemas.jobs import ImportJob
from api.schemas.requests import ModelQuery, PushForm, PushMetadata, VersionQuery
from api.schemas.responses import Manifest, Model, ModelList, VersionList
from api.services.job_files import delete_files, discard_unless_accepted
from api.services.pushed_model import require_skops
from api.services.submission import SubmitOptions
from queuecast.domain.errors import (
    FilesFullError,
    InvalidInputError,
    UnavailableError,
    UnknownAliasError,
    UnknownVersionError,
    UnsupportedMediaError,
)
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.model import CHAMPION, require_name
from queuecast.domain.work import ImportWork
from queuecast.ports.aliases import AliasStore
from queuecast.ports.models import ModelRegistry

_MODEL_HEADERS = (response_parts.MODEL_TAG,)


class ModelRoutes:
    """Push versions of models, read them, and choose by aliases which version answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._models = dependencies.models
        self._aliases = dependencies.aliases
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._uploads = dependencies.uploads
        self._files = dependencies.files

    @operation(
        "GET",
        "/v1/models",
        "models_list_models",
        parameters=(ModelQuery,),
        answers={200: json_answer("The models.", ModelList)},
        refusals=(InvalidInputError, UnavailableError),
    )
    def list_models(self) -> JsonResponse:
        """List models

        All models, by name.
        """
        query = read_query(ModelQuery)
        names = [name for name in self._models.models() if query.cursor is None or name > query.cursor]
        shown = names[: query.limit]
        models = [model_body(name, self._aliases.read(name), self._models.versions(name)) for name in shown]
        return json_response(ModelList(models, shown[-1] if len(names) > len(shown) else None))

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
                    response_parts.DELETE_ALIAS,
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
        return model_response(model, self._models, self._aliases)

    @operation(
        "GET",
        "/v1/models/<model>/versions",
        "models_list_versions",
        parameters=(VersionQuery,),
        answers={200: json_answer("The manifests.", VersionList)},
        refusals=(*error_groups.FINDING_A_MODEL, InvalidInputError),
    )
    def list_versions(self, model: str) -> JsonResponse:
        """List a model's versions, newest first

        With the manifest of each. A page of large manifests may have fewer than `limit`.
        """
        query = read_query(VersionQuery)
        before = math.inf if query.cursor is None else int(query.cursor)
        numbers = [number for number in reversed(self._models.versions(model)) if number < before]
        aliases, manifests = self._aliases.read(model), []
        left_bytes = 2**20  # a manifest of a wide table has several hundred thousand
        for number in numbers[: query.limit]:
            if left_bytes <= 0:
                break
            manifest = msgspec.json.encode(manifest_body(self._models.manifest(model, number), aliases))
            manifests.append(msgspec.Raw(manifest))
            left_bytes -= len(manifest)
        has_more = len(manifests) < len(numbers)
        cursor = str(numbers[len(manifests) - 1]) if has_more else None
        return json_response({"data": manifests, "next_cursor": cursor})

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
        answers=submit_answers(ImportJob),
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
            for part in form_files(form, "model", "example"):
                stored_files.append(self._uploads.keep(part))
            model_file, example_file = stored_files
            require_skops(self._files.path(model_file.id))
            key = read_idempotency_key(model_file.sha256, example_file.sha256, msgspec.json.encode(metadata))
            work = _import_work(model_file.id, example_file.id, metadata)
            submitted = self._submission.find_repeated(key) or self._submission.import_model(
                model, work, SubmitOptions(idempotency_key=key)
            )
        if submitted.is_repeated:
            delete_files(self._files, stored_files)
        return answer_submit(submitted, self._watcher)

    @operation(
        "GET",
        "/v1/models/<model>/versions/<version:version>",
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
        "/v1/models/<model>/versions/<version:version>/schema",
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


def model_response(name: str, models: ModelRegistry, aliases: AliasStore) -> JsonResponse:
    """The model with its ETag. Raises UnknownModelError or UnavailableError."""
    versions, named = models.versions(name), aliases.read(name)
    return json_response(model_body(name, named, versions), headers={"ETag": etag(named.generation)})


def _import_work(model_file_id: str, example_file_id: str, metadata: PushMetadata) -> ImportWork:
    holdout = metadata.holdout
    rule = None if holdout is None else HoldoutRule(holdout.fraction, tuple(holdout.columns), holdout.method)
    return ImportWork(model_file_id, example_file_id, tuple(metadata.target or ()), rule, metadata.description)
