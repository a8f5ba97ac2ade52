"""`/v1/models/{model}/aliases`: choose which version answers, go back, and read the history of these choices."""

from flask import request

from api.dependencies import Dependencies
from api.http.decoding import json_body
from api.http.json_response import JsonResponse
from api.http.rendering import json_response, move_body
from api.http.request_headers import expected_generation
from api.openapi import error_groups, response_parts
from api.openapi.operations import json_answer, json_request, operation
from api.routes.models import model_response
from api.schemas import examples
from api.schemas.headers import MatchHeaders
from api.schemas.requests import AliasRequest, RollbackRequest
from api.schemas.responses import History, Model
from queuecast.domain.errors import (
    ConflictError,
    InvalidInputError,
    LengthRequiredError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnknownVersionError,
)
from queuecast.domain.model import CHAMPION, AliasMove, previous_champion, require_name

_MAX_BODY_BYTES = 64 * 1024


class AliasRoutes:
    """Choose by aliases which version of a model answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._models = dependencies.models
        self._aliases = dependencies.aliases
        self._clock = dependencies.clock

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
                (response_parts.MODEL_TAG,),
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
            200: json_answer(
                "The model as it is now.", Model, (response_parts.MODEL_TAG,), (response_parts.READ_HISTORY,)
            ),
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
            raise ConflictError(f"model {model} has had only one champion, so there is none to go back to")
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
        return model_response(model, self._models, self._aliases)
