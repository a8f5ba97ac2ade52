"""`/v1/models`: push versions and read them."""

import math
from contextlib import suppress

import msgspec

from api.dependencies import Dependencies
from api.http.decoding import read_query
from api.http.gate_changes import merged_gate
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
from api.services.model_catalog import ModelCatalog
from api.services.pushed_model import require_skops
from api.services.submit_options import SubmitOptions
from queuecast.domain.errors import (
    FilesFullError,
    Finding,
    GoneVersionError,
    InvalidInputError,
    UnavailableError,
    UnknownAliasError,
    UnsupportedMediaError,
)
from queuecast.domain.gate import GateSettings
from queuecast.domain.holdout import HoldoutRule
from queuecast.domain.model import CHAMPION, require_name
from queuecast.domain.work import ImportWork

_MODEL_HEADERS = (response_parts.MODEL_TAG,)


class ModelRoutes:
    """Push versions of models, read them, and choose by aliases which version answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._models = dependencies.models
        self._catalog = dependencies.catalog
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
        names = [name for name in self._catalog.names() if query.cursor is None or name > query.cursor]
        shown = names[: query.limit]
        models = [model_body(*found) for found in self._catalog.overviews(shown)]
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

        The ETag is the generation: how often an alias of the model has moved. `workers` says how far the workers have
        followed it: each of them loads a new champion before a job asks for it.
        """
        return model_response(model, self._catalog)

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
        aliases, remaining = self._catalog.read(model)
        numbers = [number for number in reversed(remaining) if number < before]
        manifests: list[msgspec.Raw] = []
        left_bytes = 2**20  # a manifest of a wide table has several hundred thousand
        n_read = 0
        for number in numbers[: query.limit]:
            if left_bytes <= 0:
                break
            n_read += 1
            with suppress(GoneVersionError):  # deleted since the list was read
                manifest = msgspec.json.encode(manifest_body(self._models.manifest(model, number), aliases))
                manifests.append(msgspec.Raw(manifest))
                left_bytes -= len(manifest)
        cursor = str(numbers[n_read - 1]) if n_read < len(numbers) else None
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
        Python client) and `metadata`. An import job loads and tries the model, and scores it on the rows of `held_out`,
        if there are some. The first version of a name becomes its champion.
        """
        require_name(model, "model")
        form = self._uploads.form()
        metadata = decode_form_field(PushMetadata, str(form.get("metadata") or "{}"), "metadata")
        with discard_unless_accepted(self._files) as stored_files:
            names = ("model", "example", "held_out") if "held_out" in form else ("model", "example")
            for part in form_files(form, *names):
                stored_files.append(self._uploads.keep(part))
            require_skops(self._files.path(stored_files[0].id))
            key = read_idempotency_key(*(file.sha256 for file in stored_files), msgspec.json.encode(metadata))
            work = _import_work(metadata, *(file.id for file in stored_files))
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
        refusals=error_groups.FINDING_A_VERSION,
    )
    def read_version(self, model: str, version: int) -> JsonResponse:
        """Read a version's manifest

        Everything that is known about the version. It does not change, except for the aliases that name it.
        """
        return json_response(manifest_body(*self._catalog.manifest(model, version)))

    @operation(
        "GET",
        "/v1/models/<model>/versions/<version:version>/schema",
        "models_read_version_schema",
        answers={200: json_answer("The JSON Schema.", RowSchema)},
        refusals=error_groups.FINDING_A_VERSION,
    )
    def read_version_schema(self, model: str, version: int) -> JsonResponse:
        """Read the JSON Schema of a version's rows

        It describes one element of `inputs` for this version.
        """
        return json_response(self._catalog.manifest(model, version)[0].signature.json_schema())

    @operation(
        "GET",
        "/v1/models/<model>/schema",
        "models_read_schema",
        answers={200: json_answer("The JSON Schema.", RowSchema)},
        refusals=(*error_groups.FINDING_A_MODEL, UnknownAliasError, GoneVersionError),
    )
    def read_schema(self, model: str) -> JsonResponse:
        """Read the JSON Schema of the champion's rows

        It describes one element of `inputs` for a request that names no version.
        """
        return json_response(self._submission.resolve(model, CHAMPION)[0].signature.json_schema())


def model_response(name: str, catalog: ModelCatalog) -> JsonResponse:
    """The model with its ETag. Raises UnknownModelError, GoneModelError or UnavailableError."""
    aliases, versions, workers = catalog.overview(name)
    return json_response(model_body(name, aliases, versions, workers), headers={"ETag": etag(aliases.generation)})


def _import_work(
    metadata: PushMetadata, model_file_id: str, example_file_id: str, held_out_file_id: str | None = None
) -> ImportWork:
    holdout = metadata.holdout
    rule = None if holdout is None else HoldoutRule(holdout.fraction, tuple(holdout.columns), holdout.method)
    target, gate = tuple(metadata.target or ()), merged_gate(metadata.gate, GateSettings(), "/metadata/gate")
    if held_out_file_id is not None and not target:
        detail = "held-out rows need the names of their targets"
        raise InvalidInputError(detail, (Finding("/metadata/target", "missing", detail),))
    return ImportWork(model_file_id, example_file_id, target, rule, metadata.description, held_out_file_id, gate)
