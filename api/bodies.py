"""The JSON bodies of the API, in and out, as types: they validate requests and the OpenAPI document is made of them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from queuecast.domain.batch import OnError, OutputFormat
from queuecast.domain.job import Event, JobType, Priority, State
from queuecast.domain.work import Method, Promote

AnyJson = Annotated[Any, Meta(extra_json_schema={})]
Rows = Annotated[
    msgspec.Raw,
    Meta(
        description="Rows: objects with the model's columns, or lists for a model fitted without column names.",
        extra_json_schema={
            "type": "array",
            "minItems": 1,
            "items": {"type": ["object", "array"]},
            "examples": [[{"age": 29, "sex": "female"}]],
        },
    ),
]
BinaryFile = Annotated[Any, Meta(extra_json_schema={"type": "string", "format": "binary"})]
Seconds = Annotated[float, Meta(gt=0, le=86400 * 7)]
VersionOrAlias = Annotated[int | str, Meta(description="A version number, or an alias such as `champion`.")]


class PredictionRequest(Struct, forbid_unknown_fields=True):
    """Rows to predict, and how."""

    inputs: Rows
    method: Method = Method.PREDICT
    version: VersionOrAlias = "champion"
    metadata: dict[str, AnyJson] = msgspec.field(default_factory=dict)
    expires_in_s: Seconds | None = None
    timeout_s: Seconds | None = None
    priority: Priority = Priority.NORMAL


class TrainingRequest(Struct, forbid_unknown_fields=True):
    """A retraining of the champion on an uploaded CSV file."""

    file_id: str
    target: Annotated[str, Meta(min_length=1)] | Annotated[list[str], Meta(min_length=1)]
    params: dict[str, AnyJson] = msgspec.field(default_factory=dict)
    promote: Promote = Promote.AUTO
    metadata: dict[str, AnyJson] = msgspec.field(default_factory=dict)
    expires_in_s: Seconds | None = None
    timeout_s: Seconds | None = None


class BatchRequest(Struct, forbid_unknown_fields=True):
    """A file of rows to predict, or rows of which there are too many for a prediction: one of the two."""

    file_id: str | None = None
    inputs: Rows = msgspec.field(default_factory=msgspec.Raw)
    method: Method = Method.PREDICT
    version: VersionOrAlias = "champion"
    output_format: OutputFormat = OutputFormat.CSV
    on_error: OnError = OnError.SKIP
    id_column: Annotated[str, Meta(min_length=1, description="A column that is copied to the result")] | None = None
    metadata: dict[str, AnyJson] = msgspec.field(default_factory=dict)
    expires_in_s: Seconds | None = None
    timeout_s: Seconds | None = None
    priority: Priority = Priority.NORMAL


class BatchResultBody(Struct):
    """What a batch came to; the answers are in its file. `errors` of the `rows` have no answer."""

    method: Method
    rows: int
    errors: int
    file: AnyJson
    model: AnyJson
    chunks: int
    timings: dict[str, float]


class HoldoutBody(Struct, forbid_unknown_fields=True):
    """The split that a model was fitted with; no columns means all of its columns."""

    method: Literal["rowhash-v1"] = "rowhash-v1"
    fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    columns: list[str] = []


class PushMetadata(Struct, forbid_unknown_fields=True):
    """What is said of a pushed model."""

    target: list[str] | None = None
    holdout: HoldoutBody | None = None
    description: Annotated[str, Meta(max_length=2000)] = ""


class AliasRequest(Struct, forbid_unknown_fields=True):
    version: int
    reason: Annotated[str, Meta(max_length=500)] = ""


class RollbackRequest(Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=500)] = ""


class ProblemError(Struct):
    pointer: str
    code: str
    detail: str


class Problem(Struct, omit_defaults=True):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    errors: list[ProblemError] = []
    request_id: str | None = None


class ModelRefBody(Struct):
    name: str
    version: int | None
    alias: str | None
    sha256: str | None


class ProgressBody(Struct):
    done: int
    total: int
    unit: str
    stage: str | None
    rows: int | None
    errors: int | None


class QueueBody(Struct):
    """Where a queued job stands: 1 is taken next. The estimate is by how fast the lane was taken from lately."""

    position: int | None
    estimated_start_at: str | None


class JobUrls(Struct):
    self: str
    result: str
    errors: str
    events: str
    cancel: str
    retry: str


class MomentBody(Struct):
    """One entry of a job's timeline."""

    event: Event
    at: str
    attempt: int
    worker: str | None
    detail: str


class JobBody(Struct, omit_defaults=True):
    """A job as it is now. Times are RFC 3339 UTC. `queue` is there where one queued job was asked for."""

    id: str
    type: JobType
    state: State
    revision: int
    model: ModelRefBody
    created_at: str
    queued_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    delete_at: str | None
    attempt: int
    lost_attempts: int
    max_attempts: int
    timeout_s: float
    priority: Priority
    not_before: str | None
    retry_of: str | None
    progress: ProgressBody | None
    queue: QueueBody | None
    metadata: dict[str, AnyJson]
    urls: JobUrls
    worker: str | None
    timeline: list[MomentBody]
    result: AnyJson | msgspec.UnsetType = msgspec.UNSET
    error: Problem | msgspec.UnsetType = msgspec.UNSET


class JobList(Struct):
    data: list[JobBody]
    next_cursor: str | None


class LaneBody(Struct):
    """A lane with jobs in it."""

    lane: str
    type: JobType
    waiting: int
    reserved: int
    oldest_wait_s: float | None
    limit: int


class LimitBody(Struct):
    """What is bounded, how much of it is taken, and the code of the error that says so; 0 for no bound."""

    used: int | None
    limit: int
    unit: str
    error: str


class QueuesBody(Struct):
    data: list[LaneBody]
    limits: dict[str, LimitBody]
    dead_letters: int
    next_cursor: str | None = None


class LetterQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,9}$")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class FileBody(Struct):
    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: str


class ModelBody(Struct):
    name: str
    champion: int | None
    aliases: dict[str, int]
    generation: int
    versions: int
    latest: int


class ModelList(Struct):
    data: list[ModelBody]
    next_cursor: str | None


class ManifestBody(Struct):
    """What is known of a version: see docs/04-models.md."""

    model: str
    version: int
    sha256: str
    size_bytes: int
    created_at: str
    job_id: str
    source: str
    estimator: str
    environment: dict[str, str]
    signature: AnyJson
    target: list[str]
    classes: AnyJson
    holdout: AnyJson
    metrics: dict[str, AnyJson]
    lineage: AnyJson
    description: str
    aliases: list[str]


class VersionList(Struct):
    data: list[ManifestBody]
    next_cursor: str | None


class AliasMoveBody(Struct):
    generation: int
    alias: str
    version: int
    previous: int | None
    at: str
    action: str
    reason: str
    job_id: str | None


class HistoryList(Struct):
    data: list[AliasMoveBody]
    next_cursor: str | None


class LiveBody(Struct):
    status: str


class ReadyBody(Struct):
    status: str
    redis: str
    workers: dict[str, int]


class ResultBody(Struct, omit_defaults=True):
    """A prediction's result. `probabilities` stands for `predictions` when the method was `predict_proba`."""

    method: Method
    model: AnyJson
    timings: dict[str, float]
    predictions: list[AnyJson] | None = None
    probabilities: list[AnyJson] | None = None
    classes: list[AnyJson] | None = None


class JobQuery(Struct, forbid_unknown_fields=True):
    type: JobType | None = None
    state: State | None = None
    model: str | None = None
    version: int | None = None
    created_after: Annotated[str, Meta(description="RFC 3339")] | None = None
    cursor: Annotated[str, Meta(pattern="^job_[0-9a-f-]{36}$")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


KEY_RULE = Meta(min_length=1, max_length=255, description="The same key and body again lead to the same job, for 24 h")


class SubmitHeaders(Struct, rename={"idempotency_key": "Idempotency-Key"}):
    idempotency_key: Annotated[str, KEY_RULE] | None = None


class PredictHeaders(Struct, rename={"prefer": "Prefer", "idempotency_key": "Idempotency-Key"}):
    prefer: Annotated[str, Meta(description="`wait=N`: seconds to wait for the end, at most 30")] | None = None
    idempotency_key: Annotated[str, KEY_RULE] | None = None


class WaitHeaders(Struct, rename={"prefer": "Prefer", "if_none_match": "If-None-Match"}):
    prefer: (
        Annotated[str, Meta(description="`wait=N`: seconds to wait for the end, or with If-None-Match for any change")]
        | None
    ) = None
    if_none_match: Annotated[str, Meta(description="The ETag of the job as it is known")] | None = None


class EventHeaders(Struct, rename={"last_event_id": "Last-Event-ID"}):
    last_event_id: Annotated[str, Meta(description="The id of the last event that was received")] | None = None


class MatchHeaders(Struct, rename={"if_match": "If-Match"}):
    if_match: Annotated[str, Meta(description="The model's ETag: its generation in quotes")]


class UploadForm(Struct):
    file: BinaryFile


class PushForm(Struct):
    model: BinaryFile
    example: BinaryFile
    metadata: Annotated[str, Meta(description="JSON, see PushMetadata")] | None = None
