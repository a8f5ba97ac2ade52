"""`/v1/models/{model}/evaluations`: labelled files in, a job out that scores versions without a fit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from flask import request

from api.dependencies import Dependencies
from api.http.decoding import decode_object, json_body
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.openapi import error_groups
from api.openapi.operations import json_request, operation, submit_answers
from api.routes.submit_answers import answer_submit
from api.schemas import examples
from api.schemas.evaluation_requests import EvaluationRequest
from api.schemas.headers import SubmitHeaders
from api.schemas.jobs import EvaluationJob
from api.services.accepted_files import NeededColumns, accepted_files, named_files, require_short
from api.services.submit_options import SubmitOptions, Submitted
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import Finding, InvalidInputError, UnknownAliasError, UnknownVersionError
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.gate import GateSettings
from queuecast.domain.gate.metric_names import require_known_metrics
from queuecast.domain.job import ModelRef
from queuecast.domain.model import CHALLENGER, CHAMPION, Manifest
from queuecast.domain.work import AcceptedFile, EvaluatedVersion, EvaluationWork
from queuecast.ports.jobs import IdempotencyKey

Resolved = tuple[Manifest, ModelRef]


class EvaluationRoutes:
    """Score versions of a model."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._files = dependencies.files
        self._aliases = dependencies.aliases
        self._max_body_bytes = dependencies.limits.max_body_bytes

    @operation(
        "POST",
        "/v1/models/<model>/evaluations",
        "evaluations_score",
        parameters=(SubmitHeaders,),
        body=json_request(EvaluationRequest, examples.EVALUATION),
        answers=submit_answers(EvaluationJob),
        refusals=(*error_groups.SUBMITTING, *error_groups.FINDING_A_VERSION, UnknownAliasError),
    )
    def score(self, model: str) -> JsonResponse:
        """Score versions on labelled files

        Scores versions of the model on rows with their target, without a fit: by the metrics of trainings, with 95 %
        intervals, and each version in its difference from the first one. No alias moves. The result says which rows a
        version may have been fitted on, and why a version could not be scored.
        """
        body = json_body(EvaluationRequest, self._max_body_bytes)
        metadata = decode_object(body.metadata, "/metadata")
        require_short(body.target)
        key = read_idempotency_key(request.get_data())
        submitted = self._submission.find_repeated(key) or self._submit(model, body, metadata, key)
        return answer_submit(submitted, self._watcher)

    def _submit(
        self, model: str, body: EvaluationRequest, metadata: dict[str, Any], key: IdempotencyKey | None
    ) -> Submitted:
        resolved = self._resolved(model, body.versions)
        require_known_metrics(GateSettings(metric=body.metric), "")
        target = (body.target,) if isinstance(body.target, str) else tuple(body.target)
        files, ignored = self._accepted_files(body, _with_target(resolved, target), target)
        work = EvaluationWork(
            tuple(files),
            target,
            tuple(EvaluatedVersion(manifest.version, ref.alias) for manifest, ref in resolved),
            body.metric,
            body.weight_column,
            body.extra_columns,
            body.on_error,
        )
        options = SubmitOptions(
            metadata, body.expires_in_s, body.timeout_s, idempotency_key=key, ignored_columns=ignored
        )
        return self._submission.evaluate(resolved[0][1], work, options)

    def _resolved(self, model: str, wanted: Sequence[int | str] | None) -> list[Resolved]:
        """The versions, each once. By default the champion, and the challenger if there is one."""
        if wanted is None:
            found = [self._submission.resolve(model, CHAMPION)]
            if CHALLENGER in self._aliases.read(model).versions:
                found.append(self._submission.resolve(model, CHALLENGER))
        else:
            found = []
            for at, each in enumerate(wanted):
                with _pointing_at(f"/versions/{at}"):
                    found.append(self._submission.resolve(model, each))
        by_version = {manifest.version: (manifest, ref) for manifest, ref in reversed(found)}
        return [by_version[version] for version in dict.fromkeys(manifest.version for manifest, _ in found)]

    def _accepted_files(
        self, body: EvaluationRequest, resolved: Sequence[Resolved], target: tuple[str, ...]
    ) -> tuple[list[AcceptedFile], IgnoredColumns | None]:
        """Raises InvalidInputError if the files suit none of the versions, with the reason of the first one."""
        ids = named_files(body)
        refusals: list[InvalidInputError] = []
        for manifest, _ in resolved:
            try:
                needed = _needed(manifest, target, body.weight_column)
                return accepted_files(self._files, ids, manifest, needed, body.extra_columns)
            except InvalidInputError as error:
                refusals.append(error)
        raise refusals[0]


def _needed(manifest: Manifest, target: tuple[str, ...], weight_column: str | None) -> NeededColumns:
    """The rows are not split, so the file may lack the columns by which those of the version were."""
    needed = NeededColumns.of(replace(manifest, holdout=None), target, ColumnRoles(weight_column))
    split_by = () if manifest.holdout is None else columns_outside(manifest.holdout.columns, manifest.signature)
    return replace(needed, optional=split_by)


@contextmanager
def _pointing_at(pointer: str) -> Iterator[None]:
    """The refusal of a version points at its place in the request."""
    try:
        yield
    except (UnknownVersionError, UnknownAliasError) as error:
        findings = tuple(replace(each, pointer=pointer) for each in error.findings)
        found = findings or (Finding(pointer, error.code, error.detail),)
        raise type(error)(error.detail, found, code=error.code) from None


def _with_target(resolved: Sequence[Resolved], target: tuple[str, ...]) -> list[Resolved]:
    """The versions that may have learned this target. Raises InvalidInputError if there are none."""
    fitting = [each for each in resolved if each[0].may_have_target(target)]
    if fitting:
        return fitting
    known = resolved[0][0]
    found, expected = list_names(target), list_names(known.target)
    detail = f"version {known.version} was fitted on the target {expected}, and the request names {found}"
    finding = Finding("/target", "other_target", detail, found, expected)
    raise InvalidInputError(f"/target: {detail}", (finding,))
