"""The bodies of outcomes and of the live metrics that follow from them."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from api.schemas.fields import Count, JobId, Name, Positive, Time
from api.schemas.gate import ScoreInterval

Outcome = Annotated[Any, Meta(extra_json_schema={"type": ["string", "number", "boolean"]})]


class OutcomesRequest(Struct, forbid_unknown_fields=True):
    """The true outcomes of the rows of a job: labels of a classifier, or numbers."""

    outcomes: Annotated[
        list[Outcome], Meta(min_length=1, description="One for each row, in the order of the rows of the job.")
    ]


class JobOutcomes(Struct):
    """The outcomes of a job were added, now or by an earlier request with the same ones."""

    job_id: JobId
    rows: Positive
    versions: Annotated[list[Positive], Meta(description="That answered the rows: the job's, and its shadow's.")]
    added: Annotated[bool, Meta(description="False if an earlier request added the same outcomes.")]


class LiveScore(Struct):
    """A score by a metric of scikit-learn, on the rows that have it."""

    metric: str
    rows: Positive
    score: ScoreInterval


class LiveVersion(Struct):
    """One version on the newest rows that have an outcome. `total`: with those that are no longer among them."""

    version: Positive
    aliases: list[str]
    rows: Count
    total: Count
    last_at: Time
    scores: list[LiveScore]


class LiveOutcomes(Struct):
    """The live metrics of a model, the version with the newest outcome first."""

    model: Name
    window: Annotated[Positive, Meta(description="How many rows of a version count at most.")]
    versions: Annotated[list[LiveVersion], Meta(description="The five versions with the newest outcomes.")]
