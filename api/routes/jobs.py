"""`/v1/jobs`: what became of a job, a list of them, and canceling one."""

from datetime import UTC, datetime

from flask import Blueprint, Response, request

from api.documents import Documents
from api.http.decoding import current_request, decode_query
from api.http.errors import failure_problem, problem_response
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, empty_response, job_body, json_response, revision_tag
from api.http.request_headers import preferred_wait_s
from api.routes.batches import MEDIA_TYPES, BatchResults
from api.routes.job_events import event_stream
from api.schemas.headers import EventHeaders, WaitHeaders
from api.schemas.requests import JobQuery
from api.schemas.responses import JobBody, JobList, Problem, ResultBody
from api.services.job_watcher import JobWatcher, Watch
from api.services.queue_position import RETRY_AFTER_S, QueuePositions
from api.services.submission import Submission, Submitted
from queuecast.domain.errors import Finding, InvalidInputError, UnavailableError, WaitersFullError
from queuecast.domain.job import Failure, Job, JobType, State
from queuecast.ports.jobs import JobFilter, JobStore


def waited_response(waiting: JobWatcher, watch: Watch, submitted: Submitted, wait_s: float) -> JsonResponse:
    """The answer to a submit that prefers to wait: 200 with the ended job, else 202 as without waiting.

    watch: a place for the end of the job that was to be made; an earlier one takes another.
    """
    is_replay = submitted.is_replay
    try:
        if submitted.job.id == watch.job_id:
            present, result = waiting.wait_from_submit(watch, wait_s)
        else:
            present, result = waiting.wait_until_final(submitted.job.id, wait_s)
    except (WaitersFullError, UnavailableError):
        # The job is accepted all the same; a preference is only that (RFC 7240).
        return accepted(submitted.job, is_replay=is_replay)
    if present.is_final:
        headers = {"ETag": revision_tag(present)}
        if is_replay:
            headers["Idempotency-Replayed"] = "true"
        response = json_response(job_body(present, result), headers=headers)
    else:
        response = accepted(present, is_replay=is_replay)
    response.headers["Preference-Applied"] = f"wait={wait_s:g}"
    return response


def jobs_blueprint(
    jobs: JobStore,
    submission: Submission,
    waiting: JobWatcher,
    batches: BatchResults,
    positions: QueuePositions,
    documents: Documents,
) -> Blueprint:
    blueprint = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

    @blueprint.get("/<job_id>")
    @documents.route(
        tag="jobs", headers=WaitHeaders, answers={200: JobBody, 304: None, 404: Problem, 410: Problem, 503: Problem}
    )
    def read(job_id: str) -> JsonResponse | Response:
        """Read a job

        With `Prefer: wait=N` (at most 30 s) answers as soon as the job has ended; with `If-None-Match` too, as soon as
        it is not at that revision any more. A failed job is still a job found: 200, with `state` and `error`.
        """
        asked = current_request()
        known = asked.if_none_match if "HTTP_IF_NONE_MATCH" in asked.environ else None

        def is_news(job: Job) -> bool:
            return known is None or not known.contains_weak(str(job.revision))

        def is_awaited(job: Job) -> bool:
            return job.is_final or is_news(job)

        wait_s = preferred_wait_s(asked.environ.get("HTTP_PREFER", ""))
        if wait_s is None:
            job, result = jobs.read_with_result(job_id)
        elif known:
            job, result = waiting.wait_for(job_id, is_awaited, wait_s)
        else:
            job, result = waiting.wait_until_final(job_id, wait_s)
        response = _present(job, result) if is_news(job) else empty_response(304, {"ETag": revision_tag(job)})
        if wait_s is not None:
            response.headers["Preference-Applied"] = f"wait={wait_s:g}"
        return response

    def _present(job: Job, result: bytes | None) -> JsonResponse:
        headers = {"ETag": revision_tag(job)}
        if job.is_final:
            return json_response(job_body(job, result), headers=headers)
        position = positions.of(job)
        headers["Retry-After"] = str(positions.retry_after_s(job, position))
        return json_response(job_body(job, position=position), headers=headers)

    @blueprint.get("/<job_id>/events")
    @documents.route(
        tag="jobs",
        headers=EventHeaders,
        answers={
            200: "text/event-stream: events `status`, `progress`, `completed` and `error`; the data is the job",
            204: None,
            404: Problem,
            410: Problem,
            503: Problem,
        },
    )
    def events(job_id: str) -> Response:
        """Follow a job

        Server-sent events: the job as it is now, then one event for each change seen, until it has ended. `id` is the
        revision; with `Last-Event-ID` nothing that was seen comes again, and 204 says that there is no more to come.
        """
        return event_stream(waiting, positions, job_id, request.headers.get("Last-Event-ID", ""))

    @blueprint.get("/<job_id>/result")
    @documents.route(
        tag="jobs",
        answers={
            200: ResultBody,
            202: JobBody,
            206: None,
            304: None,
            **dict.fromkeys((404, 406, 409, 410, 416, 503), Problem),
        },
        files=MEDIA_TYPES.values(),
    )
    def result(job_id: str) -> JsonResponse | Response:
        """Read a job's result

        202 with the job while there is none yet; 409 with the reason when there will never be one. Of a batch it is
        the file, in the format that was asked for; `Range` takes a part of it.
        """
        job, found = jobs.read_with_result(job_id)
        if found is not None and job.type is JobType.BATCH:
            return batches.file(job, found)
        if found is not None:
            return Response(found, mimetype="application/json")
        if not job.is_final:
            position = positions.of(job)
            return accepted(job, position, positions.retry_after_s(job, position))
        failure = job.failure or _ended_otherwise(job)
        problem = failure_problem(failure)
        return problem_response(failure.code, problem.title, 409, failure.detail, failure.findings)

    @blueprint.get("/<job_id>/errors")
    @documents.route(
        tag="jobs", answers={200: None, 404: Problem, 410: Problem, 503: Problem}, files=(MEDIA_TYPES["ndjson"],)
    )
    def errors(job_id: str) -> Response:
        """Read a batch's bad rows

        A JSON object a line with `row`, `column`, `code` and `detail`, in the order of the rows. While the batch runs,
        and when it has failed or was canceled, those of the chunks that were done. Empty for any other job.
        """
        job = jobs.read(job_id)
        return batches.errors(job)

    @blueprint.post("/<job_id>/cancel")
    @documents.route(
        tag="jobs", answers={200: JobBody, 202: JobBody, 404: Problem, 409: Problem, 410: Problem, 503: Problem}
    )
    def cancel(job_id: str) -> JsonResponse:
        """Cancel a job

        A queued job is canceled at once (200); a running one is asked to stop (202). Asking again is harmless.
        """
        job = submission.cancel(job_id)
        headers = {} if job.is_final else {"Retry-After": str(RETRY_AFTER_S)}
        return json_response(job_body(job), 200 if job.is_final else 202, headers)

    @blueprint.post("/<job_id>/retry")
    @documents.route(tag="jobs", answers={202: JobBody, 404: Problem, 409: Problem, 410: Problem, 503: Problem})
    def retry(job_id: str) -> JsonResponse:
        """Run a job's work again

        A new job with the same work on the same version; `retry_of` names this one. For a job that failed, expired
        or was canceled: one that succeeded has its answer.
        """
        return accepted(submission.retry(job_id))

    @blueprint.delete("/<job_id>")
    @documents.route(tag="jobs", answers={204: None, 404: Problem, 409: Problem, 410: Problem, 503: Problem})
    def delete(job_id: str) -> Response:
        """Delete an ended job

        Its record, rows and result are gone at once; its id answers 410 for as long as it would have been kept.
        """
        submission.delete(job_id)
        return empty_response(204)

    @blueprint.get("")
    @documents.route(tag="jobs", query=JobQuery, answers={200: JobList, 422: Problem, 503: Problem})
    def page() -> JsonResponse:
        """List jobs

        Newest first, without results. A page may be short while `next_cursor` says there is more.
        """
        query = decode_query(JobQuery, request.args.to_dict())
        wanted = JobFilter(query.type, query.state, query.model, query.version, _seconds(query.created_after))
        found = jobs.page(wanted, query.cursor, query.limit)
        return json_response(JobList([job_body(job) for job in found.jobs], found.next_cursor))

    return blueprint


def _ended_otherwise(job: Job) -> Failure:
    words = {State.CANCELED: "was canceled", State.EXPIRED: "was not started before its deadline"}
    return Failure(job.state.value, f"job {job.id} {words.get(job.state, 'has no result')}")


def _seconds(moment: str | None) -> float | None:
    if moment is None:
        return None
    try:
        found = datetime.fromisoformat(moment)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        detail = f"found {moment[:40]!r}, expected an RFC 3339 time such as 2026-01-31T12:00:00Z"
        raise InvalidInputError(detail, (Finding("/created_after", "invalid", detail),)) from None
