"""`/v1/models/{m}/predictions`: rows in, a job out."""

from flask import Blueprint

from api.documents import Documents
from api.http.decoding import current_request, json_body, require_shallow
from api.http.idempotency import read_idempotency_key
from api.http.json_response import JsonResponse
from api.http.rendering import accepted
from api.http.request_headers import preferred_wait_s
from api.http.row_decoding import require_rows
from api.routes.jobs import waited_response
from api.schemas.headers import PredictHeaders
from api.schemas.requests import PredictionRequest
from api.schemas.responses import JobBody, Problem
from api.services.job_watcher import JobWatcher
from api.services.submission import Submission, SubmitOptions, Submitted, require_method
from queuecast.domain.model import Manifest
from queuecast.domain.work import PredictionWork
from queuecast.ports.jobs import IdempotencyKey


def predictions_blueprint(
    submission: Submission, waiting: JobWatcher, documents: Documents, *, max_body_bytes: int, max_rows: int
) -> Blueprint:
    blueprint = Blueprint("predictions", __name__)

    @blueprint.post("/v1/models/<model>/predictions")
    @documents.route(
        tag="predictions",
        json=PredictionRequest,
        headers=PredictHeaders,
        answers={
            202: JobBody,
            200: JobBody,
            **dict.fromkeys((400, 404, 410, 411, 413, 415, 422, 503), Problem),
        },
    )
    def predict(model: str) -> JsonResponse:
        """Predict rows

        Answers 202 with the job at once, or with `Prefer: wait=N` (at most 30 s) 200 with the ended job.
        The version is pinned now; the rows are checked against its signature before anything is queued.
        """
        body = json_body(PredictionRequest, max_body_bytes)
        require_shallow(body.metadata, "/metadata")
        asked = current_request()
        key = read_idempotency_key(asked.get_data())
        job_id = submission.new_job_id()
        wait_s = preferred_wait_s(asked.environ.get("HTTP_PREFER", ""))
        with waiting.reserve(job_id, wait_s) as watch:  # before there is a job: so its end cannot be missed
            submitted = submission.find_replay(key) or _submitted(model, body, job_id, key)
            if wait_s is None or watch is None:
                return accepted(submitted.job, is_replay=submitted.is_replay)
            return waited_response(waiting, watch, submitted, wait_s)

    def _submitted(model: str, body: PredictionRequest, job_id: str, key: IdempotencyKey | None) -> Submitted:
        rows = bytes(body.inputs)

        def checked(manifest: Manifest) -> tuple[PredictionWork, bytes]:
            require_method(manifest, body.method)
            n_rows, fit = require_rows(manifest.signature, rows, max_rows)
            return PredictionWork(body.method, n_rows), fit

        terms = SubmitOptions(body.metadata, body.expires_in_s, body.timeout_s, body.priority, job_id, key)
        return submission.predict(model, body.version, terms, checked)

    return blueprint
