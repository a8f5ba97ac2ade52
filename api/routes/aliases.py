"""`/v1/models/{model}/aliases`: choose which version answers, go back, and read the history of these choices."""

from flask import request

from api.dependencies import Dependencies
from api.http.decoding import json_body, read_query
from api.http.json_response import JsonResponse
from api.http.rendering import json_response, move_body
from api.http.request_headers import require_condition, require_generation
from api.openapi import error_groups, response_parts
from api.openapi.operations import json_answer, json_request, operation
from api.routes.models import model_response
from api.schemas import examples
from api.schemas.headers import MatchHeaders, OptionalMatchHeaders
from api.schemas.requests import AliasRequest, HistoryQuery, RollbackRequest
from api.schemas.responses import History, Model
from api.services.model_catalog import Decide
from queuecast.domain.deletion import gone_version
from queuecast.domain.errors import (
    ConflictError,
    Finding,
    InvalidInputError,
    LengthRequiredError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnavailableError,
    UnknownAliasError,
    UnknownModelError,
)
from queuecast.domain.findings.nearest_names import unknown_name
from queuecast.domain.model import (
    CHAMPION,
    DELETION,
    ROLLBACK,
    Aliases,
    AliasMove,
    previous_champion,
    require_alias,
    require_reason,
    without_previous_champion,
)

_MAX_BODY_BYTES = 64 * 1024


class AliasRoutes:
    """Choose by aliases which version of a model answers."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._catalog = dependencies.catalog
        self._aliases = dependencies.aliases
        self._clock = dependencies.clock

    @operation(
        "GET",
        "/v1/models/<model>/history",
        "models_read_history",
        parameters=(HistoryQuery,),
        answers={200: json_answer("The moves.", History)},
        refusals=(UnknownModelError, UnavailableError, InvalidInputError),
    )
    def read_history(self, model: str) -> JsonResponse:
        """List the moves of a model's aliases, oldest first

        Which version became champion when, and why; and which versions were deleted. A deleted model keeps its history.
        """
        query = read_query(HistoryQuery)
        self._catalog.require_history(model)
        moves = [move for move in self._aliases.history(model) if move.generation > int(query.cursor or 0)]
        shown = moves[: query.limit]
        cursor = str(shown[-1].generation) if len(moves) > len(shown) else None
        return json_response(History([move_body(move) for move in shown], cursor))

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
            *error_groups.FINDING_A_VERSION,
            InvalidInputError,
            ConflictError,
            PreconditionRequiredError,
            PreconditionFailedError,
        ),
    )
    def move_alias(self, model: str, alias: str) -> JsonResponse:
        """Point an alias at a version

        `If-Match` carries the ETag of the model as it was read: if an alias has moved since, the request gets 412. `*`
        moves the alias in any case. Pointing it at the version that it names already is no move. A version that its
        training found `worse` or `incomparable` becomes champion only with a `reason`, which the history keeps.
        """
        body = json_body(AliasRequest, _MAX_BODY_BYTES)
        require_condition()
        require_alias(alias)
        manifest, _ = self._catalog.manifest(model, body.version)

        def decide(present: Aliases) -> AliasMove | None:
            if body.version in present.deleted:
                raise gone_version(model, body.version)
            if present.versions.get(alias) == body.version:
                return None
            require_reason(manifest, alias, body.reason)
            if (
                alias not in present.versions and len(present.versions) >= 100
            ):  # every answer about the model lists them
                raise ConflictError(f"model {model} has {len(present.versions)} aliases, at most 100; delete one first")
            return self._next_move(present, alias, body.version, "put", body.reason)

        return self._move(model, decide)

    @operation(
        "DELETE",
        "/v1/models/<model>/aliases/<alias>",
        "models_delete_alias",
        parameters=(MatchHeaders,),
        answers={
            200: json_answer(
                "The model as it is now.", Model, (response_parts.MODEL_TAG,), (response_parts.READ_HISTORY,)
            )
        },
        refusals=(
            *error_groups.FINDING_A_MODEL,
            InvalidInputError,
            UnknownAliasError,
            ConflictError,
            PreconditionRequiredError,
            PreconditionFailedError,
        ),
    )
    def delete_alias(self, model: str, alias: str) -> JsonResponse:
        """Delete an alias

        The versions stay. The history keeps the deletion, with the version that the alias named. `champion` cannot be
        deleted. `If-Match` is required, as for a move.
        """
        require_condition()
        self._catalog.read(model)

        def decide(present: Aliases) -> AliasMove:
            if alias not in present.versions:
                finding = Finding("/alias", "unknown_alias", f"model {model} has no alias {alias[:80]!r}")
                finding = unknown_name(finding, alias, present.versions)
                raise UnknownAliasError(finding.detail, (finding,))
            if alias == CHAMPION:
                raise ConflictError(f"model {model} keeps its {CHAMPION}; point it at another version instead")
            return self._next_move(present, alias, present.versions[alias], DELETION, "")

        return self._move(model, decide)

    @operation(
        "POST",
        "/v1/models/<model>/rollback",
        "models_rollback",
        parameters=(OptionalMatchHeaders,),
        body=json_request(RollbackRequest, examples.ROLLBACK, is_required=False),
        answers={
            200: json_answer(
                "The model as it is now.", Model, (response_parts.MODEL_TAG,), (response_parts.READ_HISTORY,)
            ),
        },
        refusals=(
            *(error for error in error_groups.READING_A_BODY if error is not LengthRequiredError),
            *error_groups.FINDING_A_VERSION,
            InvalidInputError,
            ConflictError,
            PreconditionFailedError,
        ),
    )
    def rollback(self, model: str) -> JsonResponse:
        """Go back to the previous champion

        The body may be empty. Going back twice undoes two promotions. Deleted versions are passed over. With
        `If-Match`, the ETag of the model as it was read, the request gets 412 if an alias has moved since.
        """
        body = json_body(RollbackRequest, _MAX_BODY_BYTES) if request.content_length else RollbackRequest()
        self._catalog.read(model)

        def decide(present: Aliases) -> AliasMove:
            history = self._aliases.history(model)
            previous = previous_champion(history)
            if previous is None:
                raise ConflictError(without_previous_champion(model, history))
            self._catalog.manifest(model, previous)
            return self._next_move(present, CHAMPION, previous, ROLLBACK, body.reason)

        return self._move(model, decide)

    def _next_move(self, present: Aliases, alias: str, version: int, action: str, reason: str) -> AliasMove:
        return AliasMove(
            generation=present.generation + 1,
            alias=alias,
            version=version,
            previous=present.versions.get(alias),
            at=self._clock(),
            action=action,
            reason=reason,
        )

    def _move(self, model: str, decide: Decide) -> JsonResponse:
        """Makes the move for the aliases as they are, if `If-Match` allows it; None for no move."""
        require_allowed = require_generation(model)

        def decide_if_allowed(present: Aliases) -> AliasMove | None:
            require_allowed(present)
            return decide(present)

        self._catalog.change(model, decide_if_allowed, self._aliases.move)
        return model_response(model, self._catalog)
