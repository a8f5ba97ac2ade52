"""`/v1/jobs`: read, follow, list, cancel, retry and delete jobs."""

from flask import Response

from api.dependencies import Dependencies
from api.http.decoding import current_request
from api.http.json_response import JsonResponse
from api.http.rendering import accepted, empty_response, ended_without_result, job_body, json_response, revision_tag
from api.http.request_headers import applied_wait, preferred_wait_s, require_revision
from api.openapi import error_groups, response_parts
from api.openapi.operations import Answer, Refusal, job_failure, json_answer, operation, submit_answers
from api.routes.outputs.batch_results import ERRORS_CONTENT, FILE_CONTENT, PARTIAL_FILE_CONTENT, BatchResults
from api.routes.submit_answers import answer_submit
from api.schemas.headers import JobMatchHeaders, RangeHeaders, RunAgainHeaders, WaitHeaders
from api.schemas.jobs import Job as JobSchema
from api.schemas.results import EvaluationResult, ImportResult, PredictionResult, TrainingResult
from api.services.callers_jobs import require_callers_job
from api.services.queue_position import RETRY_AFTER_S
from api.services.submit_options import Submitted
from queuecast.domain.errors import (
    GoneResultError,
    IllegalMoveError,
    NotAcceptableError,
    WaitersFullError,
)
from queuecast.domain.job import Job, JobType

FAILURE_CODES = (
    *("canceled", "expired", "timeout", "worker_lost", "invalid_input"),
    *("prediction_failed", "fit_failed", "run_failed"),
    *("model_refused", "untrusted_types", "checksum_mismatch", "golden_mismatch", "version_mismatch"),
    *("unsupported_column", "no_usable_method", "not_reproducible", "file_changed", "result_too_large", "disk_full"),
    *("unavailable", "store_full", "unknown_file", "unknown_model", "unknown_version", "version_gone"),
)


class JobRoutes:
    """Every submit creates a job. Read its state and its result, follow it, cancel it, or run it again."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._jobs = dependencies.jobs
        self._submission = dependencies.submission
        self._watcher = dependencies.watcher
        self._positions = dependencies.positions
        self._batch_results = BatchResults(dependencies.batches)

    @operation(
        "GET",
        "/v1/jobs/<job_id>",
        "jobs_read",
        parameters=(WaitHeaders,),
        answers={
            200: json_answer(
                "The job.",
                JobSchema,
                (
                    response_parts.JOB_TAG,
                    response_parts.RETRY_AFTER_OF_OPEN_JOB,
                    response_parts.PREFERENCE_APPLIED,
                ),
                (
                    response_parts.READ_RESULT,
                    response_parts.FOLLOW_JOB,
                    response_parts.CANCEL_JOB,
                    response_parts.RETRY_JOB,
                    response_parts.DELETE_JOB,
                ),
            ),
            304: Answer(
                "The job is still at the known revision.",
                headers=(response_parts.JOB_TAG, response_parts.PREFERENCE_APPLIED),
            ),
        },
        refusals=(*error_groups.FINDING_A_JOB, WaitersFullError),
    )
    def read(self, job_id: str) -> JsonResponse | Response:
        """Read a job

        With `Prefer: wait=N` (at most 30 s) the response comes as soon as the job has ended; with `If-None-Match` too,
        as soon as the job is no longer at that revision. A failed job is returned as any other: 200, with `state` and
        `error`.
        """
        request = current_request()
        known = request.if_none_match if "HTTP_IF_NONE_MATCH" in request.environ else None

        def is_changed(job: Job) -> bool:
            return known is None or not known.contains_weak(str(job.revision))

        def ends_wait(job: Job) -> bool:
            return job.is_final or is_changed(job)

        wait_s = preferred_wait_s(request.environ.get("HTTP_PREFER", ""))
        if wait_s is None:
            job, result = self._read(job_id)
        elif known:
            job, result = self._watcher.wait_for(job_id, ends_wait, wait_s)
        else:
            job, result = self._watcher.wait_until_final(job_id, wait_s)
        response: JsonResponse | Response
        if is_changed(job):
            response = self._job_response(job, result)
        else:
            response = empty_response(304, {"ETag": revision_tag(job)})
        if wait_s is not None:
            response.headers["Preference-Applied"] = applied_wait(wait_s)
        return response

    @operation(
        "DELETE",
        "/v1/jobs/<job_id>",
        "jobs_delete",
        parameters=(JobMatchHeaders,),
        answers={204: Answer("The job is deleted.")},
        refusals=(*error_groups.CHANGING_A_JOB, IllegalMoveError),
    )
    def delete(self, job_id: str) -> Response:
        """Delete an ended job

        Deletes its record, rows and result at once. Until the job's retention is over, its id gets 410.
        """
        self._submission.delete(job_id, require_revision)
        return empty_response(204)

    @operation(
        "GET",
        "/v1/jobs/<job_id>/result",
        "jobs_result",
        parameters=(RangeHeaders,),
        answers={
            200: Answer(
                "The result; for a batch, its file.",
                FILE_CONTENT
                | {
                    "application/json": (
                        PredictionResult,
                        TrainingResult,
                        EvaluationResult,
                        ImportResult,
                        FILE_CONTENT["application/json"],
                    )
                },
                (response_parts.FILE_TAG, response_parts.CONTENT_DISPOSITION, response_parts.ACCEPT_RANGES),
            ),
            202: json_answer("There is no result yet.", JobSchema, response_parts.JOB_HEADERS),
            206: Answer(
                "The range of a batch's file that `Range` names.",
                PARTIAL_FILE_CONTENT,
                (
                    response_parts.FILE_TAG,
                    response_parts.CONTENT_DISPOSITION,
                    response_parts.ACCEPT_RANGES,
                    response_parts.CONTENT_RANGE,
                ),
            ),
            304: Answer("The file is the known one.", headers=(response_parts.FILE_TAG,)),
        },
        refusals=(
            *error_groups.FINDING_A_JOB,
            NotAcceptableError,
            *map(job_failure, FAILURE_CODES),
            GoneResultError,
            Refusal(416, "Requested Range Not Satisfiable", "requested_range_not_satisfiable"),
        ),
    )
    def result(self, job_id: str) -> JsonResponse | Response:
        """Read a job's result

        Returns 202 with the job while there is no result yet, and 409 with the reason if there will never be one. For a
        batch the result is a file in the format that was asked for; `Range` selects a part of it.
        """
        job, result = self._read(job_id)
        if result is not None and job.type is JobType.BATCH:
            return self._batch_results.file(job, result)
        if result is not None:
            return Response(result, mimetype="application/json")
        if not job.is_final:
            position = self._positions.of(job)
            return accepted(job, position, self._positions.retry_after_s(job, position))
        return ended_without_result(job)

    @operation(
        "GET",
        "/v1/jobs/<job_id>/errors",
        "jobs_errors",
        answers={200: Answer("The bad rows.", ERRORS_CONTENT, (response_parts.CONTENT_DISPOSITION,))},
        refusals=error_groups.FINDING_A_JOB,
    )
    def errors(self, job_id: str) -> Response:
        """Read the bad rows of a batch, a training or an evaluation

        One JSON object per line with `row`, `column`, `code` and `detail`, in the order of the rows. A row with several
        bad cells has them all in `errors`. While a batch runs, and after it failed or was canceled, these are the bad
        rows of the chunks that are done. A training and an evaluation have them with `on_error: skip`. Empty for any
        other job.
        """
        return self._batch_results.errors(self._read(job_id)[0])

    @operation(
        "POST",
        "/v1/jobs/<job_id>/cancel",
        "jobs_cancel",
        parameters=(JobMatchHeaders,),
        answers={
            200: json_answer(
                "The job is canceled.",
                JobSchema,
                links=(response_parts.READ_JOB, response_parts.RETRY_JOB, response_parts.DELETE_JOB),
            ),
            202: json_answer(
                "The job was asked to stop.", JobSchema, (response_parts.RETRY_AFTER,), (response_parts.READ_JOB,)
            ),
        },
        refusals=(*error_groups.CHANGING_A_JOB, IllegalMoveError),
    )
    def cancel(self, job_id: str) -> JsonResponse:
        """Cancel a job

        A queued job is canceled at once (200); a running job is asked to stop (202). Repeating the request is safe.
        """
        job = self._submission.cancel(job_id, require_revision)
        headers = {} if job.is_final else {"Retry-After": str(RETRY_AFTER_S)}
        return json_response(job_body(job), 200 if job.is_final else 202, headers)

    @operation(
        "POST",
        "/v1/jobs/<job_id>/retry",
        "jobs_retry",
        parameters=(RunAgainHeaders,),
        answers=submit_answers(JobSchema, takes_key=False),
        refusals=error_groups.RUNNING_AGAIN,
    )
    def retry(self, job_id: str) -> JsonResponse:
        """Run a job's work again

        Creates a new job with the same work on the same version; its `retry_of` names this one. Only a job that failed,
        expired or was canceled can be retried.
        """
        return answer_submit(Submitted(self._submission.retry(job_id, require_revision)), self._watcher)

    def _read(self, job_id: str) -> tuple[Job, bytes | None]:
        job, result = self._jobs.read_with_result(job_id)
        return require_callers_job(job), result

    def _job_response(self, job: Job, result: bytes | None) -> JsonResponse:
        headers = {"ETag": revision_tag(job)}
        if job.is_final:
            return json_response(job_body(job, result), headers=headers)
        position = self._positions.of(job)
        headers["Retry-After"] = str(self._positions.retry_after_s(job, position))
        return json_response(job_body(job, position=position), headers=headers)
