"""Jobs, versions and errors -> HTTP. The only module that knows which error has which status."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from flask import Response, current_app, has_request_context, request
from werkzeug.exceptions import HTTPException, NotFound

from api import bodies
from api.answers import Answer
from api.estimates import RETRY_AFTER_S, Place
from api.front import REQUEST_ID
from queuecast.domain import errors
from queuecast.domain.job import Failure, Job, Moment, Progress
from queuecast.domain.model import CHAMPION, Aliases, AliasMove, Manifest
from queuecast.ports import StoredFile

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


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(body, status, headers or {})


def bodiless(status: int, headers: dict[str, str] | None = None) -> Response:
    """204 or 304. Flask would call the body that is not there text/html."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def error_response(error: errors.QueuecastError) -> Response:
    status, title = _status(error)
    return problem_response(error.code, title, status, error.detail, error.findings)


def error_problem(error: errors.QueuecastError) -> bodies.Problem:
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


def problem(
    code: str, title: str, status: int, detail: str, findings: tuple[errors.Finding, ...] = ()
) -> bodies.Problem:
    return bodies.Problem(
        type=PROBLEM_TYPE + code,
        title=title,
        status=status,
        detail=detail,
        code=code,
        instance=request.path if has_request_context() else None,
        errors=[bodies.ProblemError(**asdict(finding)) for finding in findings],
        request_id=request.environ.get(REQUEST_ID) if has_request_context() else None,
    )


def accepted(
    job: Job, place: Place | None = None, retry_after_s: int = RETRY_AFTER_S, *, is_replay: bool = False
) -> Answer:
    """202. Submits say nothing of the place: it would be a round trip for each, to tell most of them that it is 1."""
    headers = {
        "Location": f"/v1/jobs/{job.id}",
        "ETag": revision_tag(job),
        "Retry-After": str(retry_after_s),
    }
    if is_replay:
        headers["Idempotency-Replayed"] = "true"
    return json_response(job_body(job, place=place), 202, headers)


def job_body(job: Job, result: bytes | None = None, place: Place | None = None) -> bodies.JobBody:
    here = f"/v1/jobs/{job.id}"
    model = job.model
    return bodies.JobBody(
        id=job.id,
        type=job.type,
        state=job.state,
        revision=job.revision,
        model=bodies.ModelRefBody(model.name, model.version, model.alias, model.sha256),
        created_at=timestamp(job.created_at),
        queued_at=timestamp(job.queued_at or job.created_at),
        started_at=_optional(job.started_at),
        finished_at=_optional(job.finished_at),
        expires_at=_optional(job.expires_at),
        delete_at=_optional(job.delete_at),
        attempt=job.attempt,
        lost_attempts=job.lost_attempts,
        max_attempts=job.max_attempts,
        timeout_s=job.timeout_s,
        priority=job.priority,
        not_before=_optional(job.not_before),
        retry_of=job.retry_of,
        progress=None if job.progress is None else _progress_body(job.progress),
        queue=None if place is None else bodies.QueueBody(place.position, _optional(place.estimated_start_at)),
        metadata=job.metadata,
        urls=bodies.JobUrls(
            here, f"{here}/result", f"{here}/errors", f"{here}/events", f"{here}/cancel", f"{here}/retry"
        ),
        worker=job.worker,
        timeline=[_moment_body(moment) for moment in job.timeline],
        result=msgspec.UNSET if result is None else msgspec.Raw(result),
        error=msgspec.UNSET if job.failure is None else failure_problem(job.failure),
    )


def _progress_body(progress: Progress) -> bodies.ProgressBody:
    return bodies.ProgressBody(
        progress.done, progress.total, progress.unit, progress.stage, progress.rows, progress.errors
    )


def _moment_body(moment: Moment) -> bodies.MomentBody:
    return bodies.MomentBody(moment.event, timestamp(moment.at), moment.attempt, moment.worker, moment.detail)


def failure_problem(failure: Failure) -> bodies.Problem:
    """Why a job failed, as the problem document that its result's URL answers."""
    title = FAILURE_TITLES.get(failure.code, "The job failed")
    return problem(failure.code, title, 409, failure.detail, failure.findings)


def file_body(stored: StoredFile) -> bodies.FileBody:
    return bodies.FileBody(**asdict(stored) | {"created_at": timestamp(stored.created_at)})


def model_body(name: str, aliases: Aliases, versions: list[int]) -> bodies.ModelBody:
    return bodies.ModelBody(
        name=name,
        champion=aliases.versions.get(CHAMPION),
        aliases=aliases.versions,
        generation=aliases.generation,
        versions=len(versions),
        latest=versions[-1],
    )


def manifest_body(manifest: Manifest, aliases: Aliases) -> bodies.ManifestBody:
    pointing = sorted(alias for alias, version in aliases.versions.items() if version == manifest.version)
    fields = msgspec.to_builtins(manifest) | {"created_at": timestamp(manifest.created_at), "aliases": pointing}
    return bodies.ManifestBody(**fields)


def move_body(move: AliasMove) -> bodies.AliasMoveBody:
    return bodies.AliasMoveBody(**asdict(move) | {"at": timestamp(move.at)})


def etag(generation: int) -> str:
    return f'"{generation}"'


def revision_tag(job: Job) -> str:
    """A weak ETag: it stays when only the job's place in its lane moves."""
    return f'W/"{job.revision}"'


def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_to_the_second(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    """Most times of a request lie within a few seconds of each other."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _optional(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
