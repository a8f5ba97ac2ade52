"""The answer to a submit: 202 with the job at once, or 200 with the ended job if the caller waits for it."""

from collections.abc import Callable

from api.http.decoding import current_request
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, job_body, json_response, revision_tag
from api.http.request_headers import applied_wait, preferred_wait_s
from api.services.job_watcher import JobAndResult, JobWatcher
from api.services.submit_options import Submitted
from queuecast.domain.errors import UnavailableError, WaitersFullError


def answer_submit(submitted: Submitted, watcher: JobWatcher) -> JsonResponse:
    """Waits if the request prefers it."""
    request = current_request()
    wait_s = preferred_wait_s(request.environ.get("HTTP_PREFER", ""))
    if wait_s is None:
        return accepted(submitted.job, is_repeated=submitted.is_repeated)
    return answer_after_wait(submitted, wait_s, lambda: watcher.wait_until_final(submitted.job.id, wait_s))


def answer_after_wait(submitted: Submitted, wait_s: float, wait: Callable[[], JobAndResult]) -> JsonResponse:
    """200 with the ended job, or 202 as without waiting."""
    is_repeated = submitted.is_repeated
    try:
        job, result = wait()
    except (WaitersFullError, UnavailableError):
        # The job is accepted in any case, and a preference may be ignored (RFC 7240).
        return accepted(submitted.job, is_repeated=is_repeated)
    if job.is_final:
        headers = {"ETag": revision_tag(job)}
        if is_repeated:
            headers["Idempotency-Replayed"] = "true"
        response = json_response(job_body(job, result), headers=headers)
    else:
        response = accepted(job, is_repeated=is_repeated)
    response.headers["Preference-Applied"] = applied_wait(wait_s)
    return response
