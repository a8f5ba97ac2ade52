"""The request headers that the API reads."""

from typing import Annotated

from msgspec import Meta, Struct

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
