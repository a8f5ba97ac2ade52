"""`/v1/jobs/{id}/report`: the report of a training or an evaluation, as JSON for programs and as a page for people."""

from flask import Response, request

from api.dependencies import Dependencies
from api.http.json_response import JsonResponse
from api.http.rendering import ended_without_result, json_response, report_body
from api.http.request_headers import preferred_media_type
from api.openapi import error_groups, response_parts
from api.openapi.operations import Answer, job_failure, operation
from api.routes.jobs import FAILURE_CODES
from api.schemas.report_bodies import EvaluationReport as EvaluationSchema
from api.schemas.report_bodies import TrainingReport as TrainingSchema
from api.services.callers_jobs import require_callers_job
from api.services.evaluation_reports import EvaluationReports
from api.services.training_reports import TrainingReports
from queuecast.domain.errors import (
    ConflictError,
    GoneVersionError,
    NotAcceptableError,
    UnknownReportError,
    UnknownVersionError,
)
from queuecast.domain.job import Job, JobType
from queuecast.domain.reports import EvaluationReport, TrainingReport

JSON, HTML = "application/json", "text/html"


class JobReportRoutes:
    """Read how a training or an evaluation compared versions."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._trainings = TrainingReports(dependencies.models)
        self._evaluations = EvaluationReports(dependencies.batches)

    @operation(
        "GET",
        "/v1/jobs/<job_id>/report",
        "jobs_report",
        answers={
            200: Answer(
                "The report: a document, or with `Accept: text/html` a page.",
                {JSON: (TrainingSchema, EvaluationSchema), HTML: {"type": "string"}},
                (response_parts.CONTENT_SECURITY_POLICY,),
            )
        },
        refusals=(
            *error_groups.FINDING_A_JOB,
            *(UnknownVersionError, GoneVersionError, UnknownReportError, ConflictError, NotAcceptableError),
            *map(job_failure, FAILURE_CODES),
        ),
    )
    def read(self, job_id: str) -> JsonResponse | Response:
        """Read the report of a training or an evaluation

        The verdict with its criteria, the scores of both versions with their intervals, curves or residuals, confusion
        matrices, calibration, slices, the importance of columns, and where the version comes from. An evaluation has no
        criteria, slices or importance. The page is one file without scripts that loads nothing, so it can be saved,
        sent and printed.
        """
        media_type = preferred_media_type((JSON, HTML))
        if media_type is None:
            accept = request.headers["Accept"][:80]
            raise NotAcceptableError(f"Accept is {accept!r}; a report is {JSON} or {HTML}")
        job, result = self._jobs.read_with_result(job_id)
        require_callers_job(job)
        if result is None and job.is_final:
            return ended_without_result(job)
        report = self._report(job, result)
        response = json_response(report_body(report)) if media_type == JSON else _page(report)
        response.headers["Vary"] = "Accept"
        return response

    def _report(self, job: Job, result: bytes | None) -> TrainingReport | EvaluationReport:
        if job.type is JobType.TRAINING:
            return self._trainings.of(job, result)
        if job.type is JobType.EVALUATION:
            return self._evaluations.of(job, result)
        raise ConflictError(f"job {job.id} is a {job.type}; only a training and an evaluation have a report")


def _page(report: TrainingReport | EvaluationReport) -> Response:
    from api.reports.page import evaluation_page, training_page  # noqa: PLC0415 - most gateways draw none: 0.5 MiB

    if isinstance(report, TrainingReport):
        page, name = training_page(report), f"{report.model}-{report.challenger}-report"
    else:
        page, name = evaluation_page(report), f"{report.outcome.model}-evaluation-report"
    headers = {
        "Content-Security-Policy": page.policy,
        "Content-Disposition": f'inline; filename="{name}.html"',
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(page.html, headers=headers, mimetype=HTML)
