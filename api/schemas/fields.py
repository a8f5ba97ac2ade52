"""Field types that several bodies share.

`Meta(extra_json_schema=...)` describes what another part of the gateway checks. A bound in `Meta` itself is checked by
msgspec when it decodes.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from api.schemas import examples
from queuecast.domain.findings.data_findings import Severity
from queuecast.domain.id_rules import FILE_ID_RULE, JOB_ID_RULE
from queuecast.domain.model import NAME_RULE

JOB_ID = f"^{JOB_ID_RULE.pattern}$"
FILE_ID = f"^{FILE_ID_RULE.pattern}$"
NAME = f"^{NAME_RULE.pattern}$"


def free_object(title: str, description: str, *values: Any) -> Meta:
    """An object with any fields. Generators take an object without `additionalProperties` for an empty one."""
    schema = {"title": title, "additionalProperties": True, "examples": list(values)}
    return Meta(description=description, extra_json_schema=schema)


def _sent_object(meta: Meta) -> Meta:
    """The same object as text, for a request: `api.http.decoding.decode_object` decodes it once its size is known."""
    return Meta(extra_json_schema={"type": "object", "description": meta.description} | (meta.extra_json_schema or {}))


Time = Annotated[str, Meta(extra_json_schema={"format": "date-time", "examples": [examples.TIME]})]
JobId = Annotated[str, Meta(extra_json_schema={"pattern": JOB_ID, "examples": [examples.JOB_ID]})]
FileId = Annotated[str, Meta(extra_json_schema={"pattern": FILE_ID, "examples": [examples.FILE_ID]})]
Sha256 = Annotated[str, Meta(extra_json_schema={"pattern": "^[0-9a-f]{64}$"})]
Name = Annotated[str, Meta(extra_json_schema={"pattern": NAME, "examples": ["titanic"]})]
Path = Annotated[str, Meta(extra_json_schema={"format": "uri-reference"})]
Count = Annotated[int, Meta(extra_json_schema={"minimum": 0})]
Positive = Annotated[int, Meta(extra_json_schema={"minimum": 1})]
Milliseconds = Annotated[float, Meta(extra_json_schema={"minimum": 0})]

_CELL: dict[str, Any] = {
    "title": "Cell",
    "description": "One value of a row or of an answer.",
    "anyOf": [{"type": "number"}, {"type": "string"}, {"type": "boolean"}, {"type": "null"}],
}
_ROW: dict[str, Any] = {
    "title": "Row",
    "description": (
        "One row: the names of the model's columns and their values. A row for a model that was fitted on dicts may "
        "have any keys, and lists of strings. `GET /v1/models/{model}/schema` returns the exact JSON Schema."
    ),
    "type": "object",
    "additionalProperties": {"anyOf": [_CELL, {"type": "array", "items": {"type": "string"}}]},
    "examples": [examples.ROW],
}
_ROW_OF_VALUES: dict[str, Any] = {
    "title": "RowOfValues",
    "description": "One row for a model whose columns have no names of text: its values in the order of the columns.",
    "type": "array",
    "items": _CELL,
}
_TEXT: dict[str, Any] = {
    "title": "RowOfText",
    "description": "One row for a model that was fitted on texts.",
    "type": "string",
}
_ANY_ROW: dict[str, Any] = {"anyOf": [_ROW, _ROW_OF_VALUES, _TEXT]}
_ANSWER: dict[str, Any] = {"anyOf": [_CELL, {"type": "array", "items": _CELL}]}
_PROBABILITY: list[Any] = [{"type": "number"}, {"type": "null"}]

Cell = Annotated[Any, Meta(extra_json_schema=_CELL)]
Rows = Annotated[
    msgspec.Raw,
    Meta(
        extra_json_schema={
            "title": "Rows",
            "description": (
                "The rows: objects with the model's columns, lists for a model that was fitted without column names or "
                "with names that are not all text, strings for a model that was fitted on texts, or objects with any "
                "keys for one that was fitted on dicts."
            ),
            "type": "array",
            "minItems": 1,
            "items": _ANY_ROW,
            "examples": [[examples.ROW]],
        }
    ),
]
ExampleRows = Annotated[list[Any], Meta(extra_json_schema={"items": _ANY_ROW})]
Answers = Annotated[
    list[Any],
    Meta(
        description=(
            "One answer per row, in the order of the rows; a list for an estimator with several outputs. A number that "
            "is not finite is null."
        ),
        extra_json_schema={"items": _ANSWER},
    ),
]
Probabilities = Annotated[
    list[Any],
    Meta(
        description=(
            "One list per row, in the order of `classes`. With several outputs, one list per row of such lists."
        ),
        extra_json_schema={
            "items": {
                "type": "array",
                "items": {"anyOf": [*_PROBABILITY, {"type": "array", "items": {"anyOf": _PROBABILITY}}]},
            }
        },
    ),
]
Classes = Annotated[
    list[Any],
    Meta(
        description="The labels of a classifier; a list of such lists for several outputs.",
        extra_json_schema={"items": _ANSWER},
    ),
]
_METADATA = free_object(
    "Metadata",
    "Free data that comes back with the job: at most 16 KiB, nested at most 32 levels deep.",
    {"run": "nightly"},
)
_PARAMS = free_object(
    "Params",
    "Parameters for the estimator's `set_params`: at most 16 KiB, nested at most 32 levels deep.",
    {"model__C": 0.5},
)
Metadata = Annotated[dict[str, Any], _METADATA]
SentMetadata = Annotated[msgspec.Raw, _sent_object(_METADATA)]
Params = Annotated[dict[str, Any], _PARAMS]
SentParams = Annotated[msgspec.Raw, _sent_object(_PARAMS)]
_DISTRIBUTIONS = free_object(
    "ParamDistributions",
    "By the name of a parameter, a list of values, or a range `{low, high, log?, int?}`: at most 16 KiB.",
    {"model__C": {"low": 0.01, "high": 100, "log": True}, "model__fit_intercept": [True, False]},
)
SentDistributions = Annotated[msgspec.Raw, _sent_object(_DISTRIBUTIONS)]
ColumnName = Annotated[str, Meta(min_length=1, max_length=1000)]
Metrics = Annotated[
    dict[str, Any], free_object("Metrics", "The scores of a retrained version and of the champion before it.")
]
ColumnLabel = Annotated[
    list[Any],
    Meta(
        description='The class and the text of a name, such as `["int", "3"]`; of a tuple, a list of such pairs.',
        extra_json_schema={"items": {}},
    ),
]
RowSchema = Annotated[dict[str, Any], free_object("RowSchema", "A JSON Schema (2020-12) of one row, with examples.")]
BinaryFile = Annotated[Any, Meta(extra_json_schema={"type": "string", "format": "binary"})]


class BadCell(Struct):
    """Why a row of a training file was left out. `row` is counted from 1; without a `column`, the whole row is bad.

    `file` is its name, if the training has several.
    """

    row: Positive
    column: str | None
    code: str
    detail: str
    file: str = ""


class DataFinding(Struct):
    """A finding about the data of a training, or about its fit. With an `error`, the scores mean little."""

    code: str
    severity: Severity
    detail: str
    column: str | None
    found: str | None
    expected: str | None
