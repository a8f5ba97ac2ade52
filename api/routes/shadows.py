"""`/v1/models/{model}/shadow`: let another version answer a sample of the champion's jobs, and read how it compares."""

from flask import Response

from api.dependencies import Dependencies
from api.http.decoding import json_body
from api.http.json_response import JsonResponse
from api.http.rendering import empty_response, json_response, timestamp
from api.openapi import error_groups
from api.openapi.operations import Answer, json_answer, json_request, operation
from api.schemas import examples, shadows
from api.schemas.shadows import ShadowState
from queuecast.domain.errors import ConflictError, Failure, InvalidInputError
from queuecast.domain.model import CHAMPION
from queuecast.domain.shadows import Shadow, ShadowRecord, require_sample


class ShadowRoutes:
    """Compare a version with the champion on live jobs."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._catalog = dependencies.catalog
        self._shadows = dependencies.shadows
        self._clock = dependencies.clock

    @operation(
        "GET",
        "/v1/models/<model>/shadow",
        "models_read_shadow",
        answers={200: json_answer("The shadow, with `state` `off` for a model without one.", shadows.Shadow)},
        refusals=error_groups.FINDING_A_MODEL,
    )
    def read_shadow(self, model: str) -> JsonResponse:
        """Read the shadow of a model

        How the answers of the shadow compare with the champion's, and what each took. The counters start again when the
        shadow's version or the champion changes.
        """
        aliases, _ = self._catalog.read(model)
        return self._answer(model, aliases.versions.get(CHAMPION))

    @operation(
        "PUT",
        "/v1/models/<model>/shadow",
        "models_set_shadow",
        body=json_request(shadows.ShadowRequest, examples.SHADOW),
        answers={200: json_answer("The shadow as it is now.", shadows.Shadow)},
        refusals=(
            *error_groups.READING_A_BODY,
            *error_groups.FINDING_A_VERSION,
            InvalidInputError,
            ConflictError,
        ),
    )
    def set_shadow(self, model: str) -> JsonResponse:
        """Let a version shadow the champion

        The version answers a share of the champion's jobs again, with low priority, once their callers have their
        answers. A shadow that fails harms no job. Workers follow within a second. The champion cannot be its own
        shadow.
        """
        body = json_body(shadows.ShadowRequest, 64 * 1024)
        require_sample(body.sample)
        _, aliases = self._catalog.manifest(model, body.version)
        champion = aliases.versions.get(CHAMPION)
        if champion == body.version:
            raise ConflictError(f"version {body.version} of {model} is the champion; a shadow is another version")
        self._shadows.put(model, body.version, body.sample, self._clock())
        return self._answer(model, champion)

    @operation(
        "DELETE",
        "/v1/models/<model>/shadow",
        "models_delete_shadow",
        answers={204: Answer("The model has no shadow, now or before.")},
        refusals=error_groups.FINDING_A_MODEL,
    )
    def delete_shadow(self, model: str) -> Response:
        """End the shadow of a model

        Its counters are removed. Workers follow within a second.
        """
        self._catalog.read(model)
        self._shadows.delete(model)
        return empty_response(204)

    def _answer(self, model: str, champion: int | None) -> JsonResponse:
        shadow = self._shadows.read(model)
        record = ShadowRecord() if shadow is None else self._shadows.record(model)
        return json_response(_shadow_body(model, champion, shadow, record))


def _shadow_body(model: str, champion: int | None, shadow: Shadow | None, record: ShadowRecord) -> shadows.Shadow:
    return shadows.Shadow(
        model=model,
        state=_state(shadow, record),
        version=None if shadow is None else shadow.version,
        sample=None if shadow is None else shadow.sample,
        since=None if shadow is None else timestamp(shadow.since),
        champion=champion,
        rows=record.count("rows"),
        agreeing_rows=record.count("agreeing_rows"),
        agreement=record.agreement,
        mean_absolute_difference=record.mean_difference,
        jobs=shadows.ShadowJobs(
            sent=record.count("sent"),
            compared=record.count("compared"),
            not_compared=record.count("not_compared"),
            failed=record.count("failed"),
            skipped=record.count("skipped"),
            unfinished=record.unfinished,
        ),
        champion_row_ms=_latency(record, "champion"),
        shadow_row_ms=_latency(record, "shadow"),
        failure=_failure(record.failure, record.failed_at),
    )


def _state(shadow: Shadow | None, record: ShadowRecord) -> ShadowState:
    if shadow is None:
        return ShadowState.OFF
    if shadow.is_paused:
        return ShadowState.PAUSED
    return ShadowState.FAILING if record.is_failing else ShadowState.RUNNING


def _latency(record: ShadowRecord, side: str) -> shadows.RowLatency | None:
    p50, p99 = record.latency_ms(side, 0.5), record.latency_ms(side, 0.99)
    return None if p50 is None or p99 is None else shadows.RowLatency(p50, p99)


def _failure(failure: Failure | None, at: float | None) -> shadows.ShadowFailure | None:
    if failure is None or at is None:
        return None
    return shadows.ShadowFailure(failure.code, failure.detail, timestamp(at))
