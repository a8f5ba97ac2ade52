"""The settings of the gate. A model's settings are in the manifest of its champion; a training may change them."""

from dataclasses import dataclass, field
from enum import StrEnum


class PromotionPolicy(StrEnum):
    """Whether a challenger that is not worse becomes champion, becomes challenger, or gets no alias."""

    AUTO = "auto"
    MANUAL = "manual"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Metrics have the names of scikit-learn's scorers, and more is better: `neg_log_loss`, not `log_loss`.

    metric: the one that decides; empty for the default of the estimator's kind.
    guards: further metrics that must not fall; None for the default.
    margins: how much of a metric may be lost, in its own unit. Metrics that are not named have a default.
    min_gain: how much the metric has to rise. With 0, a challenger that is not worse is enough.
    min_rows, min_class_rows: held-out rows that a comparison needs, in all and of each class.
    floors: the least score of a challenger, by metric.
    slices: columns whose values make slices; None if the worker chooses them, () for no slices.
    max_slowdown: how many times as long as the champion the challenger may take for the held-out rows; None: any time.
    max_size_mb: the largest model file; None for any.
    remember: whether held-out rows are kept with the model, and earlier ones are scored.
    """

    metric: str = ""
    guards: tuple[str, ...] | None = None
    margins: dict[str, float] = field(default_factory=dict)
    min_gain: float = 0.0
    min_rows: int = 100
    min_class_rows: int = 20
    floors: dict[str, float] = field(default_factory=dict)
    slices: tuple[str, ...] | None = None
    max_slowdown: float | None = None
    max_size_mb: float | None = None
    remember: bool = True
