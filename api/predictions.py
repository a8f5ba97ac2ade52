"""`/v1/models/{m}/predictions`: rows in, a job out."""

from flask import Blueprint

from api.answers import Answer
from api.bodies import JobBody, PredictHeaders, PredictionRequest, Problem
from api.documents import Documents
from api.jobs import waited_response
from api.requests import json_body, preferred_wait_s, present_request, repeat_of, require_rows, require_shallow
from api.responses import accepted
from api.submission import Submission, Submitted, Terms, require_method
from api.waiting import Waiting
from queuecast.domain.model import Manifest
from queuecast.domain.work import PredictionWork
from queuecast.ports import Repeat


def predictions_blueprint(
    submission: Submission, waiting: Waiting, documents: Documents, *, max_body_bytes: int, max_rows: int
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
    def predict(model: str) -> Answer:
        """Predict rows

        Answers 202 with the job at once, or with `Prefer: wait=N` (at most 30 s) 200 with the ended job.
        The version is pinned now; the rows are checked against its signature before anything is queued.
        """
        body = json_body(PredictionRequest, max_body_bytes)
        require_shallow(body.metadata, "/metadata")
        asked = present_request()
        repeat = repeat_of(asked.get_data())
        job_id = submission.new_job_id()
        wait_s = preferred_wait_s(asked.environ.get("HTTP_PREFER", ""))
        with waiting.place_for(job_id, wait_s) as watch:  # before there is a job: so its end cannot be missed
            submitted = submission.repeated(repeat) or _submitted(model, body, job_id, repeat)
            if wait_s is None or watch is None:
                return accepted(submitted.job, is_replay=submitted.is_replay)
            return waited_response(waiting, watch, submitted, wait_s)

    def _submitted(model: str, body: PredictionRequest, job_id: str, repeat: Repeat | None) -> Submitted:
        rows = bytes(body.inputs)

        def checked(manifest: Manifest) -> tuple[PredictionWork, bytes]:
            require_method(manifest, body.method)
            n_rows, fit = require_rows(manifest.signature, rows, max_rows)
            return PredictionWork(body.method, n_rows), fit

        terms = Terms(body.metadata, body.expires_in_s, body.timeout_s, body.priority, job_id, repeat)
        return submission.predict(model, body.version, terms, checked)

    return blueprint
