"""The JSON bodies that the API returns for everything but jobs and problems."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.schemas.fields import (
    BadCell,
    Cell,
    Classes,
    ColumnLabel,
    Count,
    ExampleRows,
    FileId,
    JobId,
    Metrics,
    Name,
    Params,
    Positive,
    Sha256,
    Time,
)
from api.schemas.gate import GateSettings
from queuecast.domain.columns.object_rows import ValueKind
from queuecast.domain.job import JobType
from queuecast.domain.signature import ColumnType, Layout, Missing
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.trainings.searching import SearchKind
from queuecast.domain.work import Method


class LaneStatus(Struct):
    """A lane with jobs in it."""

    lane: str
    type: JobType
    waiting: Annotated[int, Meta(description="Jobs that no worker has taken yet.", extra_json_schema={"minimum": 0})]
    reserved: Annotated[int, Meta(description="Jobs that a worker has taken.", extra_json_schema={"minimum": 0})]
    oldest_wait_s: Annotated[float, Meta(extra_json_schema={"minimum": 0})] | None
    limit: Count


class LimitStatus(Struct):
    """A limit, how much of it is used, and the code of the error once it is reached; a limit of 0 is none."""

    used: Count | None
    limit: Count
    unit: str
    error: str


class Queues(Struct):
    """The lanes with jobs in them, by name, and every limit."""

    data: list[LaneStatus]
    limits: dict[str, LimitStatus]
    dead_letters: Count
    next_cursor: str | None = None


class FileInfo(Struct):
    """An uploaded file."""

    id: FileId
    name: str
    media_type: str
    size_bytes: Count
    sha256: Sha256
    created_at: Time


class ModelWorkers(Struct):
    """The processes of workers that have a version of the model loaded: how many there are, and how many of them have
    the champion loaded. `generation`: the last move of an alias that all of them have followed, null without one."""

    total: Count
    on_champion: Count
    generation: Count | None


class Model(Struct):
    """A model and the versions that its aliases name. `generation` counts the moves of its aliases."""

    name: Name
    champion: Positive | None
    aliases: dict[str, Positive]
    generation: Count
    versions: Annotated[int, Meta(description="How many there are.", extra_json_schema={"minimum": 1})]
    latest: Annotated[int, Meta(description="The number of the newest version.", extra_json_schema={"minimum": 1})]
    workers: ModelWorkers


class ModelList(Struct):
    """All models, by name."""

    data: list[Model]
    next_cursor: str | None


class KnownKey(Struct):
    """A key of the rows of the fit, and the kinds of its values. `is_always`: whether every row had it."""

    name: str
    kinds: list[ValueKind]
    is_always: bool


class ObjectRows(Struct):
    """The values of rows that are dicts. `kinds`: those that the estimator answers at any key. `keys`: those of the
    fit, all of them unless `has_more_keys`."""

    kinds: list[ValueKind]
    keys: list[KnownKey]
    has_more_keys: bool


class Column(Struct):
    """A column of a version's rows. `categories` are the only values that it takes. `missing`: what a missing value was
    to the estimator at its fit. `words`: values of the column that would otherwise mean missing in a CSV cell. `inner`:
    the dtype of the categories, or the class of Python objects such as `date`. `read`: whether a step reads it. A
    row may lack the others. `objects`: the values of rows that are dicts."""

    name: str
    type: ColumnType
    nullable: bool
    dtype: str
    categories: list[Cell] | None
    missing: Missing
    words: list[str]
    inner: str
    is_ordered: bool
    read: bool
    objects: ObjectRows | None


class LabelLevel(Struct):
    """One level of the names of a frame's columns. `dtype`: of the level, empty if it follows from the names."""

    name: ColumnLabel
    dtype: str
    labels: list[ColumnLabel]


class FrameLabels(Struct):
    """The names of the columns in the frame of the fit. Several levels are those of a MultiIndex."""

    levels: list[LabelLevel]
    is_multi: bool


class Signature(Struct):
    """The columns that a version takes and the methods that it has. `example`: rows in the form in which they are
    sent. `sparse`: the class of the sparse matrix that the estimator gets, such as `csr_matrix`; empty for other
    rows. `labels`: the names of the columns at the fit, if they are not all text; `columns` has their texts."""

    layout: Layout
    columns: list[Column]
    methods: list[Method]
    example: ExampleRows
    sparse: str
    labels: FrameLabels | None


class HoldoutRule(Struct):
    """How the rows were split that a version was fitted on. No columns means all of its columns.

    A split by time has a `cutoff`: the time of the oldest held-out row.
    """

    method: str
    fraction: float
    columns: list[str]
    cutoff: str


class ColumnRoles(Struct):
    """The columns of a training that had a role, besides features and targets."""

    weight: str | None
    group: str | None
    time: str | None
    id: str | None


class SearchSummary(Struct):
    """The candidates that a search scored, of those that it planned, and the best mean score."""

    kind: SearchKind
    candidates: Count
    planned: Count
    failed: Count
    metric: str
    cv: Count
    best_score: float
    seconds: float


class Lineage(Struct):
    """The origin of a retrained version."""

    parent_version: Positive
    file_sha256: Sha256
    params: Params
    train_rows: Count
    holdout_rows: Count
    bad_rows: Count
    bad_cells: list[BadCell]
    more_files_sha256: list[Sha256]
    roles: ColumnRoles
    findings: Count
    mode: FitMode
    search: SearchSummary | None


class Manifest(Struct):
    """Everything that is known about a version. It never changes, except for `aliases`."""

    model: Name
    version: Positive
    sha256: Sha256
    size_bytes: Count
    created_at: Time
    job_id: JobId
    source: str
    estimator: str
    environment: dict[str, str]
    signature: Signature
    target: list[str]
    classes: Classes | None
    holdout: HoldoutRule | None
    split_columns: Annotated[
        list[str], Meta(description="Columns that are no features, and that a training file needs for the split.")
    ]
    metrics: Metrics
    lineage: Lineage | None
    description: str
    compared_rows: Count
    gate: GateSettings
    params: list[str]
    can_update: Annotated[bool | None, Meta(description="Whether the estimator has `partial_fit`; null if unknown.")]
    aliases: list[str]


class VersionList(Struct):
    """The versions of a model, newest first."""

    data: list[Manifest]
    next_cursor: str | None


class AliasMove(Struct):
    """One entry of a model's audit trail: a move of an alias, or the deletion of a version or the model, which has no
    `alias`. The deletion of the model deletes all versions up to `version`."""

    generation: Positive
    alias: Name | None
    version: Positive
    previous: Positive | None
    at: Time
    action: str
    reason: str
    job_id: JobId | None


class History(Struct):
    """The moves of a model's aliases and its deletions, oldest first."""

    data: list[AliasMove]
    next_cursor: str | None


class Live(Struct):
    """The process runs."""

    status: Literal["ok"]


class Ready(Struct):
    """Jobs can be accepted. `workers`: how many workers consume each queue."""

    status: Literal["ready"]
    redis: Literal["ok"]
    workers: dict[str, Count]
