"""The bodies of a model's shadow."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from api.schemas.fields import Count, Milliseconds, Name, Positive, Time


class ShadowState(StrEnum):
    """`paused`: the version is the champion itself, or there is no champion. `failing`: the last shadow job that ended
    failed; `failure` says why."""

    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    FAILING = "failing"


class ShadowRequest(Struct, forbid_unknown_fields=True):
    """The version that answers a share of the champion's jobs again."""

    version: int
    sample: Annotated[
        float, Meta(extra_json_schema={"exclusiveMinimum": 0, "maximum": 1}, description="The share of the jobs.")
    ] = 1.0


class ShadowJobs(Struct):
    """What became of the sampled jobs. `skipped`: too many waited, memory was short, or the rows were too many bytes.
    `not_compared`: the first answer was gone. `unfinished`: waits or runs, or was lost with its worker."""

    sent: Count
    compared: Count
    not_compared: Count
    failed: Count
    skipped: Count
    unfinished: Count


class RowLatency(Struct):
    """The run time of one row in milliseconds: that of the call, divided by its rows."""

    p50: Milliseconds
    p99: Milliseconds


class ShadowFailure(Struct):
    """Why the last shadow job failed that did."""

    code: str
    detail: str
    at: Time


class Shadow(Struct):
    """The shadow of a model, and how its answers compare with the champion's."""

    model: Name
    state: ShadowState
    version: Positive | None
    sample: float | None
    since: Time | None
    champion: Positive | None
    rows: Annotated[int, Meta(description="Rows compared.", extra_json_schema={"minimum": 0})]
    agreeing_rows: Count
    agreement: Annotated[
        float | None,
        Meta(
            description="The share of rows that agree: labels are equal, numbers within 1e-9 relative, and rows of "
            "probabilities have the same most probable class. Null before the first comparison."
        ),
    ]
    mean_absolute_difference: Annotated[
        float | None, Meta(description="Of the numbers or the probabilities; null if there were none.")
    ]
    jobs: ShadowJobs
    champion_row_ms: RowLatency | None
    shadow_row_ms: RowLatency | None
    failure: ShadowFailure | None
