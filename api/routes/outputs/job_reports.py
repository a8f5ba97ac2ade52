"""`/v1/jobs/{id}/report`: the report of a training, as JSON for programs and as an HTML page for people."""

from flask import Response, request

from api.dependencies import Dependencies
from api.http.json_response import JsonResponse
from api.http.rendering import ended_without_result, json_response, report_body
from api.http.request_headers import preferred_media_type
from api.openapi import error_groups, response_parts
from api.openapi.operations import Answer, job_failure, operation
from api.routes.jobs import FAILURE_CODES
from api.schemas.report_bodies import TrainingReport as ReportSchema
from api.services.callers_jobs import require_callers_job
from api.services.training_reports import TrainingReports
from queuecast.domain.errors import (
    ConflictError,
    GoneVersionError,
    NotAcceptableError,
    UnknownReportError,
    UnknownVersionError,
)
from queuecast.domain.reports import TrainingReport

JSON, HTML = "application/json", "text/html"


class JobReportRoutes:
    """Read how a training compared two versions."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._reports = TrainingReports(dependencies.models)

    @operation(
        "GET",
        "/v1/jobs/<job_id>/report",
        "jobs_report",
        answers={
            200: Answer(
                "The report: a document, or with `Accept: text/html` a page.",
                {JSON: ReportSchema, HTML: {"type": "string"}},
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
        """Read the report of a training

        The verdict with its criteria, the scores of both versions with their intervals, curves or residuals, confusion
        matrices, calibration, slices, the importance of columns, and where the version comes from. The page is one file
        without scripts that loads nothing, so it can be saved, sent and printed.
        """
        media_type = preferred_media_type((JSON, HTML))
        if media_type is None:
            accept = request.headers["Accept"][:80]
            raise NotAcceptableError(f"Accept is {accept!r}; a report is {JSON} or {HTML}")
        job, result = self._jobs.read_with_result(job_id)
        require_callers_job(job)
        if result is None and job.is_final:
            return ended_without_result(job)
        report = self._reports.of(job, result)
        response = json_response(report_body(report)) if media_type == JSON else _page(report)
        response.headers["Vary"] = "Accept"
        return response


def _page(report: TrainingReport) -> Response:
    from api.reports.page import report_page  # noqa: PLC0415 - most gateways draw no page: 0.5 MiB

    page = report_page(report)
    headers = {
        "Content-Security-Policy": page.policy,
        "Content-Disposition": f'inline; filename="{report.model}-{report.challenger}-report.html"',
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(page.html, headers=headers, mimetype=HTML)
