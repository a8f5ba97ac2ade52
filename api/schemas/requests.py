"""The JSON bodies, forms and queries that the API accepts: requests are validated by these types, and the OpenAPI
document is made of them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.fields import (
    JOB_ID,
    NAME,
    BinaryFile,
    ColumnName,
    FileId,
    Rows,
    SentMetadata,
    SentParams,
)
from api.schemas.gate import GateRequest
from api.schemas.searches import SearchRequest
from queuecast.domain.columns.extra_columns import ExtraColumns
from queuecast.domain.file_formats import OutputFormat
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.job import JobType, Priority, State
from queuecast.domain.trainings.fit_mode import FitMode
from queuecast.domain.work import Method, OnError


def _timeout(title: str) -> Meta:
    """The setting of the job type bounds it, so the gateway adds the maximum to the component with this title."""
    return Meta(
        gt=0,
        title=title,
        description="Seconds that one run may take. By default, and at most, the gateway's setting for jobs like this.",
        examples=[60],
    )


PredictionTimeout = Annotated[float, _timeout("PredictionTimeout")]
TrainingTimeout = Annotated[float, _timeout("TrainingTimeout")]
BatchTimeout = Annotated[float, _timeout("BatchTimeout")]
TIMEOUT_TITLES = {
    JobType.PREDICTION: "PredictionTimeout",
    JobType.TRAINING: "TrainingTimeout",
    JobType.BATCH: "BatchTimeout",
}
Expiry = Annotated[
    Annotated[float, Meta(gt=0, le=7 * 86_400, examples=[60])] | None,
    Meta(description="Seconds within which the job must start; after them it expires."),
]
VersionOrAlias = Annotated[
    int | str, Meta(description="A version number, or an alias such as `champion`.", examples=["champion", 3])
]


ExtraColumnsChoice = Annotated[
    ExtraColumns, Meta(description="Columns that the model does not have: ignored with a note in the job, or refused.")
]

_EMPTY_OBJECT: Any = msgspec.field(default_factory=lambda: msgspec.Raw(b"{}"))
_TARGETS = Meta(max_length=10_000)
_FILES = Meta(min_length=1, max_length=100)


class PredictionRequest(Struct, forbid_unknown_fields=True):
    """The rows to predict, and how."""

    inputs: Rows
    method: Method = Method.PREDICT
    version: VersionOrAlias = "champion"
    metadata: SentMetadata = _EMPTY_OBJECT
    expires_in_s: Expiry = None
    timeout_s: PredictionTimeout | None = None
    priority: Priority = Priority.NORMAL
    extra_columns: ExtraColumnsChoice = ExtraColumns.IGNORE


class TrainingRequest(Struct, forbid_unknown_fields=True):
    """A retraining of the champion on uploaded tables, CSV, NDJSON or Parquet: one `file_id`, or several `file_ids`."""

    target: Annotated[
        ColumnName | Annotated[list[ColumnName], _TARGETS],
        Meta(description="The column to learn, or several of them; none for an estimator that learns without."),
    ] = []
    file_id: Annotated[FileId | None, Meta(description="The uploaded file.")] = None
    file_ids: Annotated[
        Annotated[list[FileId], _FILES] | None,
        Meta(description="Several uploaded files, which are read one after the other, as one table."),
    ] = None
    weight_column: Annotated[ColumnName | None, Meta(description="How much each row counts: numbers from 0 on.")] = None
    group_column: Annotated[
        ColumnName | None,
        Meta(description="Rows with the same value, such as those of one customer, are never split."),
    ] = None
    time_column: Annotated[
        ColumnName | None, Meta(description="The newest rows by this column are held out, and the others fitted on.")
    ] = None
    id_column: Annotated[ColumnName | None, Meta(description="Names a row; nothing learns from it.")] = None
    params: SentParams = _EMPTY_OBJECT
    promote: PromotionPolicy = PromotionPolicy.AUTO
    metadata: SentMetadata = _EMPTY_OBJECT
    expires_in_s: Expiry = None
    timeout_s: TrainingTimeout | None = None
    extra_columns: ExtraColumnsChoice = ExtraColumns.IGNORE
    on_error: Annotated[
        OnError,
        Meta(description="Whether rows that do not fit are left out and reported (skip), or fail the training (fail)."),
    ] = OnError.FAIL
    gate: GateRequest | UnsetType = UNSET
    mode: Annotated[
        FitMode,
        Meta(description="Whether a clone is fitted from the beginning, or a copy goes on learning (`partial_fit`)."),
    ] = FitMode.REFIT
    search: SearchRequest | UnsetType = UNSET


class BatchOptions(Struct, forbid_unknown_fields=True, kw_only=True):
    method: Method = Method.PREDICT
    version: VersionOrAlias = "champion"
    output_format: OutputFormat = OutputFormat.CSV
    on_error: OnError = OnError.SKIP
    id_column: (
        Annotated[ColumnName, Meta(description="A column that is copied to the result.", examples=["pclass"])] | None
    ) = None
    metadata: SentMetadata = _EMPTY_OBJECT
    expires_in_s: Expiry = None
    timeout_s: BatchTimeout | None = None
    priority: Priority = Priority.NORMAL
    extra_columns: ExtraColumnsChoice = ExtraColumns.IGNORE


class BatchRequest(BatchOptions, forbid_unknown_fields=True, kw_only=True):
    """Either batch request, as it is decoded: msgspec cannot tell two untagged types apart."""

    file_id: FileId | None = None
    inputs: Rows = msgspec.field(default_factory=msgspec.Raw)


class BatchOfFile(BatchOptions, forbid_unknown_fields=True, kw_only=True):
    """An uploaded file of rows to predict: CSV, NDJSON or Parquet."""

    file_id: FileId


class BatchOfRows(BatchOptions, forbid_unknown_fields=True, kw_only=True):
    """More rows to predict than one prediction may have."""

    inputs: Rows


class Holdout(Struct, forbid_unknown_fields=True):
    """How the rows were split that the model was fitted on. No columns means all of its columns."""

    method: Literal["rowhash-v1", "rowhash-v2"] = "rowhash-v2"
    fraction: Annotated[float, Meta(gt=0, lt=1, description="The share of rows the model was not fitted on.")] = 0.2
    columns: list[str] = []


class PushMetadata(Struct, forbid_unknown_fields=True):
    """Facts about a pushed model that only the caller knows."""

    target: Annotated[list[str] | None, Meta(description="The columns that the model predicts.")] = None
    holdout: Holdout | None = None
    description: Annotated[str, Meta(max_length=2000)] = ""
    gate: GateRequest | UnsetType = UNSET


class AliasRequest(Struct, forbid_unknown_fields=True):
    """The version that the alias is to name, and why."""

    version: int
    reason: Annotated[str, Meta(max_length=500)] = ""


class RollbackRequest(Struct, forbid_unknown_fields=True):
    """Why the model goes back."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class DeletionQuery(Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(max_length=500, description="Why, for the model's history.")] = ""


class UploadForm(Struct):
    """The file, with its name and its media type."""

    file: BinaryFile


class PushForm(Struct):
    """A skops file, rows that the model was fitted on, and facts about it."""

    model: Annotated[
        Any,
        Meta(
            description="The file that `skops.io.dump` wrote.", extra_json_schema={"type": "string", "format": "binary"}
        ),
    ]
    example: Annotated[
        Any,
        Meta(
            description="Rows that the model was fitted on: CSV, or the JSON table of the Python client.",
            extra_json_schema={"type": "string", "format": "binary"},
        ),
    ]
    metadata: PushMetadata | UnsetType = UNSET
    held_out: (
        Annotated[
            Any,
            Meta(
                description="Held-out rows with their target, as for a training: CSV, NDJSON or Parquet.",
                extra_json_schema={"type": "string", "format": "binary"},
            ),
        ]
        | UnsetType
    ) = UNSET


class UploadQuery(Struct):
    name: (
        Annotated[
            str,
            Meta(
                max_length=255,
                description="The name of a file that is sent as the body.",
                extra_json_schema={"examples": ["rows.csv"]},
            ),
        ]
        | UnsetType
    ) = UNSET


Limit = Annotated[int, Meta(description="How many entries a page has at most.", ge=1, le=200)]
NEXT_PAGE = Meta(description="The `next_cursor` of the previous page.")
NumberCursor = Annotated[Annotated[str, Meta(pattern="^[0-9]{1,9}$")] | None, NEXT_PAGE]


class DeadLetterQuery(Struct, forbid_unknown_fields=True):
    cursor: NumberCursor = None
    limit: Limit = 50


class ModelQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[Annotated[str, Meta(pattern=NAME)] | None, NEXT_PAGE] = None
    limit: Limit = 200


class VersionQuery(Struct, forbid_unknown_fields=True):
    cursor: NumberCursor = None
    limit: Limit = 200


class HistoryQuery(Struct, forbid_unknown_fields=True):
    cursor: NumberCursor = None
    limit: Limit = 200


class LaneQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[Annotated[str, Meta(max_length=300)] | None, NEXT_PAGE] = None
    limit: Limit = 200


class PartQuery(Struct, forbid_unknown_fields=True):
    part: Annotated[
        Annotated[int, Meta(ge=0)] | None, Meta(description="Only the rows of this finished chunk, counted from 0.")
    ] = None


class JobQuery(Struct, forbid_unknown_fields=True):
    type: Annotated[JobType | None, Meta(description="Only jobs of this type.")] = None
    state: Annotated[State | None, Meta(description="Only jobs in this state.")] = None
    model: Annotated[str | None, Meta(description="Only jobs of this model.")] = None
    version: Annotated[Annotated[int, Meta(ge=1)] | None, Meta(description="Only jobs of this version.")] = None
    created_after: Annotated[
        Annotated[str, Meta(extra_json_schema={"format": "date-time"})] | None,
        Meta(description="Only jobs created after this time (RFC 3339)."),
    ] = None
    metadata: Annotated[
        Annotated[str, Meta(max_length=1000, extra_json_schema={"contentMediaType": "application/json"})] | None,
        Meta(
            description="Only jobs whose metadata has these fields and values: a JSON object.",
            examples=['{"run": "nightly"}'],
        ),
    ] = None
    cursor: Annotated[Annotated[str, Meta(pattern=JOB_ID)] | None, NEXT_PAGE] = None
    limit: Limit = 50
