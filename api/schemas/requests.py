"""The JSON bodies and queries that the API accepts: they validate requests, and OpenAPI is made of them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from queuecast.domain.batch import OnError, OutputFormat
from queuecast.domain.job import JobType, Priority, State
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


class LetterQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,9}$")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class JobQuery(Struct, forbid_unknown_fields=True):
    type: JobType | None = None
    state: State | None = None
    model: str | None = None
    version: int | None = None
    created_after: Annotated[str, Meta(description="RFC 3339")] | None = None
    cursor: Annotated[str, Meta(pattern="^job_[0-9a-f-]{36}$")] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class UploadForm(Struct):
    file: BinaryFile


class PushForm(Struct):
    model: BinaryFile
    example: BinaryFile
    metadata: Annotated[str, Meta(description="JSON, see PushMetadata")] | None = None
