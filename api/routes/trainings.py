"""`/v1/models/{model}/trainings`: uploaded files in, a retraining job out."""

from typing import Any

from flask import request
from msgspec import UNSET, UnsetType

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
from api.schemas.searches import SearchRequest
from api.services.accepted_files import NeededColumns, accepted_files, named_files, require_short
from api.services.submit_options import SubmitOptions, Submitted
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import ConflictError, InvalidInputError, UnknownAliasError
from queuecast.domain.model import CHAMPION, Manifest
from queuecast.domain.training_params import unknown_params
from queuecast.domain.trainings.fit_mode import FitMode, update_faults
from queuecast.domain.trainings.searching import Search, require_sound_search
from queuecast.domain.work import TrainingWork
from queuecast.ports.jobs import IdempotencyKey


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

        Clones the champion, fits it on the rows of the files that are not held out, and scores both on the held-out
        rows. With `promote: auto` the new version becomes champion if it is not worse. With `on_error: skip`, rows that
        do not fit are left out; the result says how many, and `GET /v1/jobs/{job_id}/errors` lists them.
        """
        body = json_body(TrainingRequest, self._max_body_bytes)
        metadata = decode_object(body.metadata, "/metadata")
        params = decode_object(body.params, "/params")
        require_short(body.target)
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
        search = _accepted_search(body.search, manifest)
        _require_updatable(body.mode, params, search, manifest)
        gate = merged_gate(body.gate, manifest.gate)
        target = (body.target,) if isinstance(body.target, str) else tuple(body.target)
        roles = ColumnRoles(body.weight_column, body.group_column, body.time_column, body.id_column)
        needed = NeededColumns.of(manifest, target, roles)
        (first, *others), ignored = accepted_files(self._files, named_files(body), manifest, needed, body.extra_columns)
        work = TrainingWork(
            first.id,
            first.sha256,
            target,
            params,
            body.promote,
            body.extra_columns,
            body.on_error,
            gate,
            tuple(others),
            roles,
            mode=body.mode,
            search=search,
        )
        options = SubmitOptions(
            metadata, body.expires_in_s, body.timeout_s, idempotency_key=key, ignored_columns=ignored
        )
        return self._submission.train(ref, work, options)


def _require_known(params: dict[str, Any], manifest: Manifest) -> None:
    """Raises InvalidInputError for parameters that the champion's estimator lacks."""
    findings = unknown_params(params, manifest.params)
    if findings:
        raise InvalidInputError(f"{findings[0].pointer}: {findings[0].detail}", findings)


def _accepted_search(given: SearchRequest | UnsetType, manifest: Manifest) -> Search | None:
    """Raises InvalidInputError for parameters that the champion lacks, and for values that are no candidates."""
    if given is UNSET:
        return None
    distributions = decode_object(given.param_distributions, "/search/param_distributions")
    search = Search(distributions, given.kind, given.n_candidates, given.cv, given.metric, given.max_s)
    require_sound_search(search, manifest.params)
    return search


def _require_updatable(mode: FitMode, params: dict[str, Any], search: Search | None, manifest: Manifest) -> None:
    """Raises InvalidInputError for an update of a champion that cannot be updated."""
    findings = tuple(update_faults(mode, params, search, can_update=manifest.can_update))
    if findings:
        raise InvalidInputError(f"{findings[0].pointer}: {findings[0].detail}", findings)
