"""The request headers that the API reads. None of them can be null, and none has a default."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

IdempotencyKey = Annotated[
    str,
    Meta(
        description=(
            "A key of the caller's choice, best a UUID. The same key with the same request leads to the same job for "
            "24 hours; with another request it is refused."
        ),
        extra_json_schema={"pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},  # servers strip the spaces around a value
    ),
]


def _prefer(description: str) -> Meta:
    """No pattern: a preference that cannot be read is ignored (RFC 7240)."""
    return Meta(description=description, extra_json_schema={"examples": ["wait=10"]})


SubmitPreference = Annotated[
    str,
    _prefer(
        "`wait=N` (RFC 7240) waits up to N seconds, at most 30, for the job to end. N may have a fraction; `wait` "
        "alone means 30."
    ),
]


class SubmitHeaders(Struct, rename={"prefer": "Prefer", "idempotency_key": "Idempotency-Key"}):
    prefer: SubmitPreference | UnsetType = UNSET
    idempotency_key: IdempotencyKey | UnsetType = UNSET


JobTag = Annotated[
    str,
    Meta(
        description="The job's ETag: the request is refused if the job has changed since.",
        extra_json_schema={"pattern": r'^(\*|(W/)?("[0-9]{1,18}"|[0-9]{1,18}))$', "examples": ["*"]},
    ),
]


class JobMatchHeaders(Struct, rename={"if_match": "If-Match"}):
    if_match: JobTag | UnsetType = UNSET


class RunAgainHeaders(Struct, rename={"prefer": "Prefer", "if_match": "If-Match"}):
    prefer: SubmitPreference | UnsetType = UNSET
    if_match: JobTag | UnsetType = UNSET


class WaitHeaders(Struct, rename={"prefer": "Prefer", "if_none_match": "If-None-Match"}):
    prefer: (
        Annotated[
            str,
            _prefer(
                "`wait=N` (RFC 7240) waits up to N seconds, at most 30, for the job to end, or with `If-None-Match` "
                "for any change."
            ),
        ]
        | UnsetType
    ) = UNSET
    if_none_match: (
        Annotated[str, Meta(description="The ETag of the job as known.", extra_json_schema={"examples": ['W/"3"']})]
        | UnsetType
    ) = UNSET


class EventHeaders(Struct, rename={"last_event_id": "Last-Event-ID"}):
    last_event_id: (
        Annotated[
            str, Meta(description="The id of the last event that was received.", extra_json_schema={"examples": ["3"]})
        ]
        | UnsetType
    ) = UNSET


class RangeHeaders(Struct, rename={"range": "Range", "if_none_match": "If-None-Match"}):
    range: (
        Annotated[
            str,
            Meta(
                description=(
                    "One range of a batch's file in bytes, such as `bytes=1000-`. Several ranges, other units and "
                    "results of other jobs are returned whole."
                )
            ),
        ]
        | UnsetType
    ) = UNSET
    if_none_match: Annotated[str, Meta(description="The ETag of a batch's file as known.")] | UnsetType = UNSET


ModelTag = Annotated[
    str,
    Meta(
        description="The model's ETag, its generation in quotes. `*` means in any case.",
        extra_json_schema={"pattern": r'^(\*|(W/)?("[0-9]{1,18}"|[0-9]{1,18}))$', "examples": ["*"]},
    ),
]


class MatchHeaders(Struct, rename={"if_match": "If-Match"}):
    if_match: ModelTag


class OptionalMatchHeaders(Struct, rename={"if_match": "If-Match"}):
    if_match: ModelTag | UnsetType = UNSET


class DigestHeaders(Struct, rename={"content_digest": "Content-Digest"}):
    content_digest: (
        Annotated[
            str,
            Meta(
                description=(
                    "`sha-256=:<base64>:` (RFC 9530) of a body that is the file itself; an upload that does not match "
                    "is refused. In a form it is a header of the part."
                )
            ),
        ]
        | UnsetType
    ) = UNSET
