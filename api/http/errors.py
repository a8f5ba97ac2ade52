"""Errors -> problem documents (RFC 9457). The only module that maps an error to an HTTP status."""

from collections.abc import Mapping
from typing import Any

import msgspec
from flask import Response, current_app, has_request_context, request
from msgspec import UNSET, UnsetType
from werkzeug.exceptions import HTTPException, NotFound

from api.http.middleware import REQUEST_ID
from api.schemas.problems import Problem, ProblemError
from api.services.queue_position import RETRY_AFTER_S
from queuecast.domain import errors
from queuecast.domain.errors import Failure

MAX_PROBLEM_BYTES = 8 * 1024
MAX_TEXT_BYTES = 1500
PROBLEM_TYPE = "urn:queuecast:problem:"
STATUSES: dict[type[errors.QueuecastError], int] = {
    errors.MalformedError: 400,
    errors.InvalidInputError: 422,
    errors.TooLargeError: 413,
    errors.UnsupportedMediaError: 415,
    errors.NotAcceptableError: 406,
    errors.LengthRequiredError: 411,
    errors.ForeignPageError: 403,
    errors.UnknownHostError: 421,
    errors.UnknownJobError: 404,
    errors.GoneJobError: 410,
    errors.GoneResultError: 410,
    errors.UnknownModelError: 404,
    errors.GoneModelError: 410,
    errors.UnknownVersionError: 404,
    errors.GoneVersionError: 410,
    errors.UnknownAliasError: 404,
    errors.UnknownFileError: 404,
    errors.UnknownReportError: 404,
    errors.IllegalMoveError: 409,
    errors.StaleWriteError: 409,
    errors.ConflictError: 409,
    errors.PreconditionFailedError: 412,
    errors.PreconditionRequiredError: 428,
    errors.KeyReusedError: 422,
    errors.UnavailableError: 503,
    errors.StoreFullError: 503,
    errors.LaneFullError: 503,
    errors.FilesFullError: 503,
    errors.WaitersFullError: 503,
}
# The reason phrases of RFC 9110 and RFC 6585; http.HTTPStatus has older ones before Python 3.13.
TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    406: "Not Acceptable",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    428: "Precondition Required",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
FAILURE_TITLES = {
    "timeout": "The run took too long",
    "worker_lost": "The worker was lost",
    "untrusted_types": "The model is not trusted",
    "model_refused": "The model was refused",
    "expired": "The job was not started before its deadline",
    "canceled": "The job was canceled",
    "result_too_large": "The result is too large",
    "disk_full": "The disk is full",
    "version_gone": "The version was deleted",
}


def error_response(error: errors.QueuecastError) -> Response:
    status, title = _status(error)
    return problem_response(error.code, title, status, error.detail, error.findings, error.total)


def wsgi_refusal(error: errors.QueuecastError, environ: Mapping[str, Any]) -> Response:
    """For a request that does not reach Flask."""
    status, title = _status(error)
    body = problem(error.code, title, status, error.detail)
    body.instance = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
    body.request_id = environ.get(REQUEST_ID, UNSET)
    return Response(msgspec.json.encode(body), status, mimetype="application/problem+json")


def error_problem(error: errors.QueuecastError) -> Problem:
    """For a stream, whose status has been sent."""
    status, title = _status(error)
    return problem(error.code, title, status, error.detail, error.findings, error.total)


def _status(error: errors.QueuecastError) -> tuple[int, str]:
    status = STATUSES.get(type(error), 500)
    return status, TITLES[status]


def http_error_response(error: HTTPException) -> Response:
    """The errors of Flask itself: no such route, method not allowed, truncated body."""
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    detail = _not_found_detail(request.path) if isinstance(error, NotFound) else error.description or ""
    response = problem_response(code, error.name or "Error", status, detail)
    if status in (405, 416):
        response.headers.update(
            {name: value for name, value in error.get_headers() if name in ("Allow", "Content-Range")}
        )
    return response


def _not_found_detail(path: str) -> str:
    stripped = path.rstrip("/")
    has_extra_slash = stripped not in ("", path) and current_app.url_map.bind("").test(stripped, request.method)
    hint = "remove the trailing slash" if has_extra_slash else "/docs lists the paths"
    return f"no such path: {path[:80]!r}; {hint}"


def problem_response(
    code: str, title: str, status: int, detail: str, findings: tuple[errors.Finding, ...] = (), total: int = 0
) -> Response:
    body = problem(code, title, status, detail, findings, total)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return Response(msgspec.json.encode(body), status, headers, mimetype="application/problem+json")


def problem(
    code: str, title: str, status: int, detail: str, findings: tuple[errors.Finding, ...] = (), total: int = 0
) -> Problem:
    """total: the number of all findings, if there are more than these.

    A problem has at most MAX_PROBLEM_BYTES: the last findings are left out of a larger one, and counted.
    """
    body = Problem(
        type=PROBLEM_TYPE + code,
        title=title,
        status=status,
        detail=_within(detail),
        code=code,
        instance=_within(request.path, 300) if has_request_context() else UNSET,
        errors=[_problem_error(finding) for finding in findings],
        errors_total=total or UNSET,
        request_id=request.environ.get(REQUEST_ID, UNSET) if has_request_context() else UNSET,
    )
    while len(body.errors) > 1 and _is_large(body):
        body.errors_total = total or len(findings)
        del body.errors[-1]
    for error in body.errors:
        while (error.columns or error.expected_columns) and _is_large(body):
            del error.columns[-1:], error.expected_columns[-1:]
    return body


def _is_large(body: Problem) -> bool:
    return len(msgspec.json.encode(body)) > MAX_PROBLEM_BYTES


def _within(text: str, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """The text, cut to about that size in JSON, where a character may take six bytes."""
    size = len(msgspec.json.encode(text))
    return text if size <= max_bytes else errors.shortened(text, len(text) * max_bytes // size)


def _problem_error(finding: errors.Finding) -> ProblemError:
    return ProblemError(
        pointer=_within(finding.pointer, 300),
        code=finding.code,
        detail=_within(finding.detail),
        found=_or_unset(finding.found),
        expected=_or_unset(finding.expected),
        column=_or_unset(finding.column),
        columns=list(finding.columns),
        expected_columns=list(finding.expected_columns),
        nearest=_or_unset(finding.nearest),
    )


def _or_unset(fact: str | None) -> str | UnsetType:
    return UNSET if fact is None else _within(fact)


def failure_problem(failure: Failure) -> Problem:
    """Why a job failed, as the problem document that the URL of its result returns."""
    title = FAILURE_TITLES.get(failure.code, "The job failed")
    return problem(failure.code, title, 409, failure.detail, failure.findings, failure.total)
