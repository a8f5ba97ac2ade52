"""Outcomes of prediction jobs in, live metrics of the versions that answered them out."""

import hashlib

import msgspec

from api.dependencies import Dependencies
from api.http.decoding import json_body
from api.http.json_response import JsonResponse
from api.http.rendering import json_response, timestamp
from api.openapi import error_groups
from api.openapi.operations import json_answer, json_request, operation
from api.schemas import examples, live_outcomes
from api.schemas.gate import ScoreInterval
from api.services.callers_jobs import require_callers_job
from queuecast.domain.errors import (
    ConflictError,
    GoneVersionError,
    InvalidInputError,
    StoreFullError,
    UnknownVersionError,
)
from queuecast.domain.job import Job, JobType
from queuecast.domain.live.live_metrics import live_scores
from queuecast.domain.live.live_rows import WINDOW_ROWS, LiveWindow, live_rows, require_outcomes
from queuecast.domain.model import Aliases


class LiveOutcomeRoutes:
    """Score versions on live rows, once their true outcomes are known."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._models = dependencies.models
        self._catalog = dependencies.catalog
        self._outcomes = dependencies.outcomes
        self._clock = dependencies.clock
        self._max_body_bytes = dependencies.limits.max_body_bytes

    @operation(
        "POST",
        "/v1/jobs/<job_id>/outcomes",
        "jobs_add_outcomes",
        body=json_request(live_outcomes.OutcomesRequest, examples.OUTCOMES),
        answers={200: json_answer("The outcomes are counted.", live_outcomes.JobOutcomes)},
        refusals=(
            *error_groups.READING_A_BODY,
            *error_groups.FINDING_A_JOB,
            *(UnknownVersionError, GoneVersionError, InvalidInputError, ConflictError, StoreFullError),
        ),
    )
    def add(self, job_id: str) -> JsonResponse:
        """Add the true outcomes of a prediction

        One label or number for each row of a job that called `predict` or `predict_proba`, as long as its record lives.
        They count for the version of the job and for the shadow that answered it again. The outcomes of a job cannot be
        changed: the same ones again do nothing, and others are refused.
        """
        body = json_body(live_outcomes.OutcomesRequest, self._max_body_bytes)
        job, result = self._jobs.read_with_result(job_id)
        require_callers_job(job)
        found = msgspec.json.decode(_required_result(job, result))
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        require_outcomes(body.outcomes, found, manifest)
        answers = {manifest.version: found}
        for version, answer in self._outcomes.kept_answers(job.id).items():
            answers.setdefault(version, msgspec.json.decode(answer))
        rows = {version: live_rows(body.outcomes, answer) for version, answer in answers.items()}
        rows = {version: of_version[-WINDOW_ROWS:] for version, of_version in rows.items() if of_version}
        fingerprint = hashlib.sha256(msgspec.json.encode(body.outcomes)).hexdigest()
        is_new = self._outcomes.add(job.id, fingerprint, job.model.name, rows, self._clock())
        return json_response(live_outcomes.JobOutcomes(job.id, len(body.outcomes), sorted(rows), is_new))

    @operation(
        "GET",
        "/v1/models/<model>/outcomes",
        "models_live_metrics",
        answers={200: json_answer("The live metrics.", live_outcomes.LiveOutcomes)},
        refusals=error_groups.FINDING_A_MODEL,
    )
    def read(self, model: str) -> JsonResponse:
        """Read the live metrics of a model

        The scores of each version on its newest rows with an outcome, with 95 % intervals. Versions answered different
        rows, so their scores are not compared row by row; an evaluation does that.
        """
        aliases, _ = self._catalog.read(model)
        windows = self._outcomes.windows(model, 5)
        versions = [_version(version, window, aliases) for version, window in windows.items()]
        return json_response(live_outcomes.LiveOutcomes(model, WINDOW_ROWS, versions))


def _required_result(job: Job, result: bytes | None) -> bytes:
    if job.type is not JobType.PREDICTION:
        raise ConflictError(f"job {job.id} is a {job.type}; only a prediction takes outcomes")
    if result is None:
        raise ConflictError(f"job {job.id} is {job.state}; outcomes belong to the answers of a job that succeeded")
    return result


def _version(version: int, window: LiveWindow, aliases: Aliases) -> live_outcomes.LiveVersion:
    scores = [
        live_outcomes.LiveScore(
            each.metric, each.n_rows, ScoreInterval(each.score.value, each.score.low, each.score.high)
        )
        for each in live_scores(window.rows)
    ]
    names = sorted(name for name, number in aliases.versions.items() if number == version)
    return live_outcomes.LiveVersion(version, names, len(window.rows), window.total, timestamp(window.last_at), scores)
