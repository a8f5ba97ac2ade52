"""A job as a task of Celery: its name and the events that Celery's monitoring protocol has for it.

https://docs.celeryq.dev/en/stable/userguide/monitoring.html#event-reference. An event names the job by its id and has
no rows. Its `timestamp` is the time of sending, because a monitor takes an old one for a wrong clock; the times of the
record are `received` and `started`.
"""

from typing import Any

from queuecast.adapters.celery.job_sample import Moment, Sight
from queuecast.domain.job import Job, JobType, State
from queuecast.domain.lane import Lane
from queuecast.domain.timeline import Event

TASK_OF_TYPE = {
    JobType.PREDICTION: "predict",
    JobType.TRAINING: "train",
    JobType.IMPORT: "import",
    JobType.BATCH: "batch",
    JobType.EVALUATION: "evaluate",
}
TaskEvent = tuple[str, dict[str, Any]]
"""The type of an event, and its fields."""


def task_name(job: Job) -> str:
    return f"{job.model.name}.{TASK_OF_TYPE[job.type]}"


def events_of(sight: Sight) -> list[TaskEvent]:
    job, common = sight.job, _common_fields(sight.job)
    match sight.moment:
        case Moment.ACCEPTED:
            return [("task-sent", common)]
        case Moment.STARTED:
            return _start_of(job, common)
        case Moment.RETRIED:
            return [*(_start_of(job, common) if sight.has_start else []), ("task-retried", common | _retry(job))]
        case Moment.ENDED:
            return [*(_start_of(job, common) if sight.has_start else []), _end_of(sight, common)]


def _common_fields(job: Job) -> dict[str, Any]:
    model = job.model
    named = {"model": model.name, "version": model.version, "alias": model.alias, "retry_of": job.retry_of}
    if job.type is JobType.PREDICTION:
        named["method"] = Lane.of_name(job.lane).method
    return {
        "uuid": job.id,
        "name": task_name(job),
        "args": f"{model.name}@{model.version}" if model.version else model.name,
        "kwargs": repr({name: value for name, value in named.items() if value is not None}),
        "retries": max(job.attempt - 1, 0),
        "root_id": job.id,
        "parent_id": job.retry_of,
        "received": job.created_at,
    }


def _start_of(job: Job, common: dict[str, Any]) -> list[TaskEvent]:
    received: TaskEvent = ("task-received", common)
    return [received] if job.started_at is None else [received, ("task-started", common | {"started": job.started_at})]


def _end_of(sight: Sight, common: dict[str, Any]) -> TaskEvent:
    job = sight.job
    if job.started_at is not None and job.finished_at is not None:
        common |= {"started": job.started_at, "runtime": round(max(job.finished_at - job.started_at, 0.0), 6)}
    match job.state:
        case State.SUCCEEDED:
            return "task-succeeded", common | {"result": _result(sight)}
        case State.FAILED:
            failure = job.failure
            return "task-failed", common | {"exception": _text(f"{failure.code}: {failure.detail}" if failure else "")}
        case _:
            is_expired = job.state is State.EXPIRED
            ran = job.started_at is not None
            return "task-revoked", common | {"terminated": ran, "signum": None, "expired": is_expired}


def _result(sight: Sight) -> str:
    job = sight.job
    match job.type:
        case JobType.TRAINING | JobType.IMPORT:
            text = f"{job.model.name}@{job.model.version}"
        case JobType.BATCH if job.progress is not None:
            text = f"{job.progress.total} {job.progress.unit}, {job.progress.errors or 0} bad"
        case _:
            text = f"waited {job.queued_ms(job.created_at):g} ms"
    return text + (f"; {sight.unlisted} more succeeded, not listed" if sight.unlisted else "")


def _retry(job: Job) -> dict[str, Any]:
    """Why the job runs again, from its timeline."""
    lost = [entry.detail for entry in job.timeline if entry.event is Event.LOST]
    last = job.timeline[-1]
    if last.event is Event.HANDED_BACK or not lost:
        return {"exception": "a worker handed it back"}
    return {"exception": _text(f"{lost[-1]}; runs again {last.detail}")}


def _text(text: str) -> str:
    limit = 1_000  # an estimator's message may contain a whole table
    return text if len(text) <= limit else text[:limit] + "..."
