"""Deletes versions and models for good."""

from flask import Response

from api.dependencies import Dependencies
from api.http.decoding import read_query
from api.http.rendering import empty_response
from api.http.request_headers import require_condition, require_generation
from api.openapi.operations import Answer, operation, refusal
from api.schemas.headers import MatchHeaders, OptionalMatchHeaders
from api.schemas.requests import DeletionQuery
from queuecast.domain.errors import (
    ConflictError,
    InvalidInputError,
    PreconditionFailedError,
    PreconditionRequiredError,
    UnavailableError,
    UnknownModelError,
    UnknownVersionError,
)

_REFUSALS = (
    UnknownModelError,
    UnavailableError,
    InvalidInputError,
    refusal(ConflictError, "in_use"),
    PreconditionFailedError,
)


class DeletionRoutes:
    """Delete versions and models."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._catalog = dependencies.catalog

    @operation(
        "DELETE",
        "/v1/models/<model>/versions/<version:version>",
        "models_delete_version",
        parameters=(OptionalMatchHeaders, DeletionQuery),
        answers={204: Answer("The version is deleted, now or before.")},
        refusals=(*_REFUSALS, UnknownVersionError),
    )
    def delete_version(self, model: str, version: int) -> Response:
        """Delete a version

        For good: its files are removed, and its number is not used again. Refused for a version that an alias names,
        and while a job that has not ended needs the version. Requests for a deleted version get 410.
        """
        query = read_query(DeletionQuery)
        self._catalog.delete_version(model, version, query.reason, require_generation(model))
        return empty_response(204)

    @operation(
        "DELETE",
        "/v1/models/<model>",
        "models_delete_model",
        parameters=(MatchHeaders, DeletionQuery),
        answers={204: Answer("The model is deleted, now or before.")},
        refusals=(*_REFUSALS, PreconditionRequiredError),
    )
    def delete_model(self, model: str) -> Response:
        """Delete a model with all its versions

        For good, with its aliases; only its history can still be read. `If-Match` is required, as for a move of an
        alias. Refused while a job that has not ended needs the model, or imports a version of it. A later push under
        the name begins a new model, whose first version gets the next number.
        """
        query = read_query(DeletionQuery)
        require_condition()
        self._catalog.delete_model(model, query.reason, require_generation(model))
        return empty_response(204)
