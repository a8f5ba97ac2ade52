"""A job as the API shows it: one type for each type of job, told apart by `type`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.fields import Count, JobId, Metadata, Name, Path, Positive, Sha256, Time
from api.schemas.problems import Problem
from api.schemas.results import BatchResult, EvaluationResult, ImportResult, PredictionResult, TrainingResult
from queuecast.domain.job import JobType, Priority, State
from queuecast.domain.timeline import Event


class ModelRef(Struct):
    """The version that a job runs on. An import has none until it has made one."""

    name: Name
    version: Positive | None
    alias: str | None
    sha256: Sha256 | None


class Progress(Struct):
    """`done` of `total`, counted in `unit`. A training counts stages, an evaluation versions, and a batch rows, of
    which `errors` are bad."""

    done: Count
    total: Count
    unit: str
    stage: str | None
    rows: Count | None
    errors: Count | None


class IgnoredColumns(Struct):
    """Columns of the rows that the model does not have: the first names, shortened, and the number of all."""

    names: list[str]
    count: Positive


class QueuePlace(Struct):
    """A queued job's place in its lane; 1 is taken next. The estimate follows from how fast jobs were taken lately."""

    position: Positive | None
    estimated_start_at: Time | None


class JobUrls(Struct):
    """Where to go on, relative to the gateway."""

    self: Path
    result: Path
    errors: Path
    events: Path
    cancel: Path
    retry: Path
    report: (
        Annotated[Path, Meta(description="Of a training or an evaluation: how it compared versions.")] | UnsetType
    ) = UNSET


class TimelineEntry(Struct):
    """One entry of a job's timeline."""

    event: Event
    at: Time
    attempt: Count
    worker: str | None
    detail: str


class JobFields(Struct, omit_defaults=True, kw_only=True, tag_field="type"):
    """The fields of every job. `queue` is filled in only where a single queued job was read."""

    id: JobId
    state: State
    revision: Positive
    model: ModelRef
    created_at: Time
    queued_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Time | None
    delete_at: Time | None
    attempt: Count
    lost_attempts: Count
    max_attempts: Positive
    timeout_s: Annotated[float, Meta(extra_json_schema={"exclusiveMinimum": 0})]
    priority: Priority
    not_before: Time | None
    retry_of: JobId | None
    progress: Progress | None
    queue: QueuePlace | None
    metadata: Metadata
    urls: JobUrls
    worker: str | None
    timeline: list[TimelineEntry]
    ignored_columns: IgnoredColumns | UnsetType = UNSET
    error: Problem | UnsetType = UNSET


class PredictionJob(JobFields, tag="prediction", kw_only=True):
    """A prediction as it is now: with `result` once it succeeded, with `error` once it failed."""

    result: PredictionResult | UnsetType = UNSET


class TrainingJob(JobFields, tag="training", kw_only=True):
    """A training as it is now: with `result` once it succeeded, with `error` once it failed."""

    result: TrainingResult | UnsetType = UNSET


class EvaluationJob(JobFields, tag="evaluation", kw_only=True):
    """An evaluation as it is now: with `result` once it succeeded, with `error` once it failed."""

    result: EvaluationResult | UnsetType = UNSET


class ImportJob(JobFields, tag="import", kw_only=True):
    """The import of a pushed model as it is now: with `result` once it succeeded, with `error` once it failed."""

    result: ImportResult | UnsetType = UNSET


class BatchJob(JobFields, tag="batch", kw_only=True):
    """A batch as it is now: with `result` once it succeeded, with `error` once it failed."""

    result: BatchResult | UnsetType = UNSET


AnyJob = PredictionJob | TrainingJob | EvaluationJob | ImportJob | BatchJob
Job = Annotated[
    AnyJob, Meta(title="Job", description="A job as it is now, of the type that `type` names. Times are UTC.")
]
JOB_KINDS: dict[JobType, type[AnyJob]] = {
    JobType.PREDICTION: PredictionJob,
    JobType.TRAINING: TrainingJob,
    JobType.EVALUATION: EvaluationJob,
    JobType.IMPORT: ImportJob,
    JobType.BATCH: BatchJob,
}


class JobList(Struct):
    """A page of jobs, newest first and without results."""

    data: list[Job]
    next_cursor: str | None


class JobEvent(Struct):
    """One server-sent event. `data` is the job without its result, or the problem for the event `problem`."""

    event: Literal["status", "progress", "completed", "problem"] | UnsetType = UNSET
    id: Annotated[str, Meta(description="The job's revision.")] | UnsetType = UNSET
    retry: Annotated[int, Meta(description="Milliseconds to wait before reconnecting.")] | UnsetType = UNSET
    data: (
        Annotated[
            str,
            Meta(
                extra_json_schema={
                    "contentMediaType": "application/json",
                    "contentSchema": {
                        "anyOf": [{"$ref": "#/components/schemas/Job"}, {"$ref": "#/components/schemas/Problem"}]
                    },
                }
            ),
        ]
        | UnsetType
    ) = UNSET
