"""Errors -> problem documents (RFC 9457). The only module that maps an error to an HTTP status."""

from dataclasses import asdict

import msgspec
from flask import Response, current_app, has_request_context, request
from werkzeug.exceptions import HTTPException, NotFound

from api.http.middleware import REQUEST_ID
from api.schemas.problems import Problem, ProblemError
from api.services.queue_position import RETRY_AFTER_S
from queuecast.domain import errors
from queuecast.domain.job import Failure

PROBLEM_TYPE = "urn:queuecast:problem:"


STATUSES: dict[type[errors.QueuecastError], tuple[int, str]] = {
    errors.MalformedError: (400, "The body cannot be read"),
    errors.InvalidInputError: (422, "The input does not fit"),
    errors.TooLargeError: (413, "The body is too large"),
    errors.UnsupportedMediaError: (415, "This kind of body is not taken here"),
    errors.NotAcceptableError: (406, "Not to be had in that form"),
    errors.LengthRequiredError: (411, "The body has no length"),
    errors.UnknownJobError: (404, "No such job"),
    errors.GoneJobError: (410, "The job is gone"),
    errors.GoneResultError: (410, "The result is gone"),
    errors.UnknownModelError: (404, "No such model"),
    errors.UnknownVersionError: (404, "No such version"),
    errors.UnknownAliasError: (404, "No such alias"),
    errors.UnknownFileError: (404, "No such file"),
    errors.IllegalMoveError: (409, "The job's state does not allow this"),
    errors.StaleWriteError: (409, "Somebody else changed it first"),
    errors.AliasMovedError: (409, "The alias was moved meanwhile"),
    errors.ConflictError: (409, "Not possible now"),
    errors.PreconditionFailedError: (412, "Changed meanwhile"),
    errors.PreconditionRequiredError: (428, "If-Match is required"),
    errors.KeyReusedError: (422, "The key was used for another request"),
    errors.UnavailableError: (503, "Not available now"),
    errors.StoreFullError: (503, "Redis has little memory left"),
    errors.LaneFullError: (503, "Too many jobs wait"),
    errors.FilesFullError: (503, "No room for more files"),
    errors.WaitersFullError: (503, "Too many requests are waiting"),
}


FAILURE_TITLES = {
    "timeout": "The run took too long",
    "worker_lost": "The worker was lost",
    "untrusted_types": "The model is not trusted",
    "model_refused": "The model was refused",
    "expired": "Not started in time",
    "canceled": "Canceled",
    "result_too_large": "The result is too large",
    "disk_full": "The disk is full",
}


def error_response(error: errors.QueuecastError) -> Response:
    status, title = _status(error)
    return problem_response(error.code, title, status, error.detail, error.findings)


def error_problem(error: errors.QueuecastError) -> Problem:
    """The same, where an answer has begun already."""
    status, title = _status(error)
    return problem(error.code, title, status, error.detail, error.findings)


def _status(error: errors.QueuecastError) -> tuple[int, str]:
    return STATUSES.get(type(error), (500, "Something went wrong"))


def http_error_response(error: HTTPException) -> Response:
    """Flask's own refusals (no such route, method not allowed, body cut short) in the same form."""
    status = error.code or 500
    code = (error.name or "error").lower().replace(" ", "_")
    detail = _nothing_there(request.path) if isinstance(error, NotFound) else error.description or ""
    response = problem_response(code, error.name or "Error", status, detail)
    if status in (405, 416):
        kept = ("Allow", "Content-Range")
        response.headers.update({key: value for key, value in error.get_headers() if key in kept})
    return response


def _nothing_there(path: str) -> str:
    without = path.rstrip("/")
    is_slash_to_blame = without not in ("", path) and current_app.url_map.bind("").test(without, request.method)
    hint = "without the slash at its end there is" if is_slash_to_blame else "/docs shows what there is"
    return f"there is nothing at {path[:80]!r}; {hint}"


def problem_response(
    code: str, title: str, status: int, detail: str, findings: tuple[errors.Finding, ...] = ()
) -> Response:
    body = problem(code, title, status, detail, findings)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return Response(msgspec.json.encode(body), status, headers, mimetype="application/problem+json")


def problem(code: str, title: str, status: int, detail: str, findings: tuple[errors.Finding, ...] = ()) -> Problem:
    return Problem(
        type=PROBLEM_TYPE + code,
        title=title,
        status=status,
        detail=detail,
        code=code,
        instance=request.path if has_request_context() else msgspec.UNSET,
        errors=[ProblemError(**asdict(finding)) for finding in findings],
        request_id=request.environ.get(REQUEST_ID, msgspec.UNSET) if has_request_context() else msgspec.UNSET,
    )


def failure_problem(failure: Failure) -> Problem:
    """Why a job failed, as the problem document that its result's URL answers."""
    title = FAILURE_TITLES.get(failure.code, "The job failed")
    return problem(failure.code, title, 409, failure.detail, failure.findings)
