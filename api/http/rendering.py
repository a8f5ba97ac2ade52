"""Domain records as response bodies and headers. Errors are in `api.http.errors`."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from flask import Response

from api.http.errors import failure_problem, problem_response
from api.http.json_response import JsonResponse
from api.schemas import jobs, responses
from api.services.callers_jobs import is_callers_job
from api.services.convergence import Convergence
from api.services.queue_position import RETRY_AFTER_S, QueuePosition
from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.errors import Failure
from queuecast.domain.job import Job, JobType, Progress, State
from queuecast.domain.model import CHAMPION, Aliases, AliasMove, Manifest
from queuecast.domain.reports import EvaluationReport, TrainingReport, headline
from queuecast.domain.timeline import TimelineEntry
from queuecast.ports.files import StoredFile
from queuecast.ports.jobs import JobPage

REPORTED_TYPES = (JobType.TRAINING, JobType.EVALUATION)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse(body, status, headers or {})


def empty_response(status: int, headers: dict[str, str] | None = None) -> Response:
    """204 or 304. Without the deletion Flask would send `Content-Type: text/html` without a body."""
    response = Response(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def accepted(
    job: Job, position: QueuePosition | None = None, retry_after_s: int = RETRY_AFTER_S, *, is_repeated: bool = False
) -> JsonResponse:
    """202. A submit leaves the position out: it takes a round trip, and is 1 for most."""
    headers = {
        "Location": f"/v1/jobs/{job.id}",
        "ETag": revision_tag(job),
        "Retry-After": str(retry_after_s),
    }
    if is_repeated:
        headers["Idempotency-Replayed"] = "true"
    return json_response(job_body(job, position=position), 202, headers)


def job_body(job: Job, result: bytes | None = None, position: QueuePosition | None = None) -> jobs.AnyJob:
    """job: not a chunk (`api.services.callers_jobs`)."""
    url = f"/v1/jobs/{job.id}"
    model = job.model
    return jobs.JOB_KINDS[job.type](
        id=job.id,
        state=job.state,
        revision=job.revision,
        model=jobs.ModelRef(model.name, model.version, model.alias, model.sha256),
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
        queue=None if position is None else _queue_body(position),
        metadata=job.metadata,
        urls=_urls_body(job, url),
        worker=job.worker,
        timeline=[_timeline_body(entry) for entry in job.timeline],
        result=msgspec.UNSET if result is None else cast("Any", msgspec.Raw(result)),
        ignored_columns=msgspec.UNSET if job.ignored_columns is None else _ignored_body(job.ignored_columns),
        error=msgspec.UNSET if job.failure is None else failure_problem(job.failure),
    )


def job_list(page: JobPage) -> JsonResponse:
    return json_response(jobs.JobList([job_body(job) for job in page.jobs if is_callers_job(job)], page.next_cursor))


def _urls_body(job: Job, url: str) -> jobs.JobUrls:
    report = f"{url}/report" if job.type in REPORTED_TYPES else msgspec.UNSET
    return jobs.JobUrls(url, f"{url}/result", f"{url}/errors", f"{url}/events", f"{url}/cancel", f"{url}/retry", report)


def _ignored_body(ignored: IgnoredColumns) -> jobs.IgnoredColumns:
    return jobs.IgnoredColumns(list(ignored.names), ignored.count)


def _queue_body(position: QueuePosition) -> jobs.QueuePlace:
    return jobs.QueuePlace(position.position, _optional(position.estimated_start_at))


def _progress_body(progress: Progress) -> jobs.Progress:
    return jobs.Progress(progress.done, progress.total, progress.unit, progress.stage, progress.rows, progress.errors)


def _timeline_body(entry: TimelineEntry) -> jobs.TimelineEntry:
    return jobs.TimelineEntry(entry.event, timestamp(entry.at), entry.attempt, entry.worker, entry.detail)


def report_body(report: TrainingReport | EvaluationReport) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(report)
    if isinstance(report, TrainingReport):
        body = {"headline": headline(report), **body}
        reported = body["versions"]
    else:
        body |= body.pop("outcome")
        reported = body["facts"]["versions"]
    for part in (body, *reported):
        part["created_at"] = timestamp(part["created_at"])
    return body


def ended_without_result(job: Job) -> Response:
    """409: why the ended job will never have a result."""
    words = {State.CANCELED: "was canceled", State.EXPIRED: "was not started before its deadline"}
    without_run = Failure(job.state.value, f"job {job.id} {words.get(job.state, 'has no result')}")
    failure = job.failure or without_run
    title = failure_problem(failure).title
    return problem_response(failure.code, title, 409, failure.detail, failure.findings, failure.total)


def file_body(stored: StoredFile) -> responses.FileInfo:
    return responses.FileInfo(**asdict(stored) | {"created_at": timestamp(stored.created_at)})


def model_body(name: str, aliases: Aliases, versions: list[int], workers: Convergence) -> responses.Model:
    return responses.Model(
        name=name,
        champion=aliases.versions.get(CHAMPION),
        aliases=aliases.versions,
        generation=aliases.generation,
        versions=len(versions),
        latest=versions[-1],
        workers=responses.ModelWorkers(**asdict(workers)),
    )


def manifest_body(manifest: Manifest, aliases: Aliases) -> responses.Manifest:
    names = sorted(alias for alias, version in aliases.versions.items() if version == manifest.version)
    fields = msgspec.to_builtins(manifest) | {"created_at": timestamp(manifest.created_at), "aliases": names}
    split = () if manifest.holdout is None else columns_outside(manifest.holdout.columns, manifest.signature)
    fields["split_columns"] = list(split)
    return responses.Manifest(**fields)


def move_body(move: AliasMove) -> responses.AliasMove:
    return responses.AliasMove(**asdict(move) | {"at": timestamp(move.at), "alias": move.alias or None})


def etag(generation: int) -> str:
    return f'"{generation}"'


def revision_tag(job: Job) -> str:
    """A weak ETag: it does not change with the position in the lane."""
    return f'W/"{job.revision}"'


@lru_cache(maxsize=1024)
def timestamp(seconds: float) -> str:
    """RFC 3339, UTC, to the millisecond. Cached, because a job has most of its times twice, in its timeline too."""
    whole, micros = divmod(round(seconds * 1_000_000), 1_000_000)
    return f"{_whole_seconds(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=1024)
def _whole_seconds(seconds: int) -> str:
    """Cached, because most times in a response lie within a few seconds of each other."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _optional(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
