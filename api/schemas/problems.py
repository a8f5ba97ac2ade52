"""Every refusal of the API, and the error of every failed job."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType


class ProblemError(Struct, omit_defaults=True):
    """One thing that is wrong. `pointer` is a JSON Pointer (RFC 6901) into the request, or names a file's row and
    column. `detail` is a sentence; the fields after it are its facts, if they are known."""

    pointer: Annotated[str, Meta(extra_json_schema={"examples": ["/inputs/0/age"]})]
    code: Annotated[str, Meta(extra_json_schema={"examples": ["wrong_type"]})]
    detail: str
    found: str | UnsetType = UNSET
    expected: str | UnsetType = UNSET
    column: str | UnsetType = UNSET
    columns: list[str] = []
    expected_columns: list[str] = []
    nearest: Annotated[str | UnsetType, Meta(description="The name that was probably meant.", examples=["age"])] = UNSET


class Problem(Struct, omit_defaults=True):
    """Problem details (RFC 9457). `code` is stable. Each answer lists its codes; later versions may add more."""

    type: Annotated[str, Meta(extra_json_schema={"format": "uri", "examples": ["urn:queuecast:problem:unknown_job"]})]
    title: str
    status: Annotated[int, Meta(extra_json_schema={"minimum": 400, "maximum": 599})]
    detail: str
    code: Annotated[str, Meta(extra_json_schema={"pattern": "^[a-z][a-z0-9_]*$", "examples": ["unknown_job"]})]
    instance: str | UnsetType = UNSET
    errors: list[ProblemError] = []
    errors_total: Annotated[
        int | UnsetType,
        Meta(description="How many errors there are, if more than `errors` names. The count stops at 10,000."),
    ] = UNSET
    request_id: str | UnsetType = UNSET
