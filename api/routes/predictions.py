"""`/v1/models/{model}/predictions`: rows in, a job out."""

from typing import Any

from api.dependencies import Dependencies
from api.http.decoding import current_request, decode_object, json_body
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.http.rendering import accepted
from api.http.request_headers import preferred_wait_s
from api.http.row_decoding import require_rows
from api.openapi import error_groups
from api.openapi.operations import json_request, operation, submit_answers
from api.routes.submit_answers import answer_after_wait
from api.schemas import examples
from api.schemas.headers import SubmitHeaders
from api.schemas.jobs import PredictionJob
from api.schemas.requests import PredictionRequest
from api.services.job_watcher import JobAndResult, Watch
from api.services.submission import require_method
from api.services.submit_options import SubmitOptions, Submitted
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.errors import StaleWriteError, UnknownAliasError
from queuecast.domain.model import Manifest
from queuecast.domain.work import PredictionWork
from queuecast.ports.jobs import IdempotencyKey


class PredictionRoutes:
    """Predict the rows of a request."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._max_body_bytes = dependencies.limits.max_body_bytes
        self._max_rows = dependencies.limits.max_rows

    @operation(
        "POST",
        "/v1/models/<model>/predictions",
        "predictions_predict",
        parameters=(SubmitHeaders,),
        body=json_request(PredictionRequest, examples.PREDICTION),
        answers=submit_answers(PredictionJob),
        refusals=(
            *error_groups.SUBMITTING,
            *error_groups.FINDING_A_VERSION,
            UnknownAliasError,
            StaleWriteError,
        ),
    )
    def predict(self, model: str) -> JsonResponse:
        """Predict rows

        Returns 202 with the job at once; with `Prefer: wait=N` (at most 30 s) 200 with the job if it ends in time. The
        version is pinned now, and the rows are checked against its signature before the job is queued.
        """
        body = json_body(PredictionRequest, self._max_body_bytes)
        metadata = decode_object(body.metadata, "/metadata")
        request = current_request()
        key = read_idempotency_key(request.get_data())
        job_id = self._submission.new_job_id()
        wait_s = preferred_wait_s(request.environ.get("HTTP_PREFER", ""))
        with self._watcher.reserve(job_id, wait_s) as watch:  # before the job exists, so its end cannot be missed
            submitted = self._submission.find_repeated(key) or self._submit(model, body, metadata, job_id, key)
            if wait_s is None or watch is None:
                return accepted(submitted.job, is_repeated=submitted.is_repeated)
            return answer_after_wait(submitted, wait_s, lambda: self._wait(watch, submitted, wait_s))

    def _submit(
        self, model: str, body: PredictionRequest, metadata: dict[str, Any], job_id: str, key: IdempotencyKey | None
    ) -> Submitted:
        rows = bytes(body.inputs)

        def check(manifest: Manifest) -> tuple[PredictionWork, bytes, IgnoredColumns | None]:
            require_method(manifest, body.method)
            n_rows, checked, ignored = require_rows(manifest.signature, rows, self._max_rows, body.extra_columns)
            return PredictionWork(body.method, n_rows), checked, ignored

        options = SubmitOptions(metadata, body.expires_in_s, body.timeout_s, body.priority, job_id, key)
        return self._submission.predict(model, body.version, options, check)

    def _wait(self, watch: Watch, submitted: Submitted, wait_s: float) -> JobAndResult:
        """watch: reserved for the job that the request creates."""
        if submitted.job.id == watch.job_id:
            return self._watcher.wait_from_submit(watch, wait_s)
        return self._watcher.wait_until_final(submitted.job.id, wait_s)  # the job of an earlier request
