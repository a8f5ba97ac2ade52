"""The settings of the gate, as requests give them and manifests keep them, and its criteria and scores."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.fields import ColumnName, Count
from queuecast.domain.gate import Outcome

NotNegative = Annotated[float, Meta(ge=0)]


class GateRequest(Struct, forbid_unknown_fields=True):
    """How a challenger is judged. Fields that are left out have the values of the model's champion."""

    metric: Annotated[str, Meta(description="The metric that decides; empty for the default.")] | UnsetType = UNSET
    guards: (
        Annotated[list[str] | None, Meta(description="Metrics that must not fall; null for the default.")] | UnsetType
    ) = UNSET
    margins: (
        Annotated[dict[str, NotNegative], Meta(description="By metric, the loss that counts as none.")] | UnsetType
    ) = UNSET
    min_gain: Annotated[NotNegative, Meta(description="How much the metric has to rise.")] | UnsetType = UNSET
    min_rows: Annotated[int, Meta(ge=2, description="Held-out rows that a comparison needs.")] | UnsetType = UNSET
    min_class_rows: (
        Annotated[int, Meta(ge=0, description="Held-out rows of each class that a comparison needs.")] | UnsetType
    ) = UNSET
    floors: Annotated[dict[str, float], Meta(description="By metric, the challenger's least score.")] | UnsetType = (
        UNSET
    )
    slices: (
        Annotated[
            list[ColumnName] | None,
            Meta(description="Columns whose values make slices; null for the worker's choice, `[]` for none."),
        ]
        | UnsetType
    ) = UNSET
    max_slowdown: (
        Annotated[
            Annotated[float, Meta(gt=0)] | None,
            Meta(description="How many times as long as the champion the challenger may take; null for any time."),
        ]
        | UnsetType
    ) = UNSET
    max_size_mb: (
        Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="The largest model file in MB; null for any.")]
        | UnsetType
    ) = UNSET
    remember: (
        Annotated[bool, Meta(description="Whether held-out rows are kept with the model for later comparisons.")]
        | UnsetType
    ) = UNSET


class GateSettings(Struct):
    """How a challenger of this version is judged. Metrics have the names of scikit-learn's scorers."""

    metric: str
    guards: list[str] | None
    margins: dict[str, float]
    min_gain: float
    min_rows: Count
    min_class_rows: Count
    floors: dict[str, float]
    slices: list[str] | None
    max_slowdown: float | None
    max_size_mb: float | None
    remember: bool


class ScoreInterval(Struct):
    """A score, or a difference of two, with the bounds of its 95 % interval; a bound is null where there is none."""

    value: float
    low: float | None
    high: float | None


class MetricScores(Struct):
    """Champion and challenger by one metric of scikit-learn, and their difference, row by row on the same rows."""

    metric: str
    margin: Annotated[float, Meta(description="The loss that counts as none; 0 for a metric that decides nothing.")]
    champion: ScoreInterval | None
    challenger: ScoreInterval | None
    difference: ScoreInterval | None


class Criterion(Struct):
    """One criterion of the gate: its value, its threshold, and how the comparison of the two ended."""

    name: str
    outcome: Outcome
    detail: str
    value: float | None
    threshold: float | None
    interval: Annotated[
        list[float | None] | None, Meta(description="The lower and the upper bound of the value's 95 % interval.")
    ]
