"""The JSON bodies of the API, in and out, as types: they validate requests and the OpenAPI document is made of them."""

import msgspec
from msgspec import Struct

from api.schemas.requests import AnyJson
from queuecast.domain.job import JobType, Priority, State
from queuecast.domain.timeline import Event
from queuecast.domain.work import Method


class BatchResultBody(Struct):
    """What a batch came to; the answers are in its file. `errors` of the `rows` have no answer."""

    method: Method
    rows: int
    errors: int
    file: AnyJson
    model: AnyJson
    chunks: int
    timings: dict[str, float]


class ProblemError(Struct, omit_defaults=True):
    """One thing wrong at one place. `detail` is a sentence; the fields after it are its facts, where they are known."""

    pointer: str
    code: str
    detail: str
    found: str | None = None
    expected: str | None = None
    column: str | None = None
    columns: list[str] = []
    expected_columns: list[str] = []


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
