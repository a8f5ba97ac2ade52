"""The facts by which the gate decides: scores of champion and challenger on the same rows, with 95 % intervals."""

from dataclasses import dataclass
from math import hypot, inf

TWO_SIDED_95 = 1.959964  # standard errors from the middle of a normal distribution to the bounds of 95 % of it


@dataclass(frozen=True, slots=True)
class Score:
    """A score or a difference of two, and the bounds of its 95 % interval; None where the rows give no bound."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def lowest(self) -> float:
        return -inf if self.low is None else self.low

    @property
    def highest(self) -> float:
        return inf if self.high is None else self.high

    @property
    def standard_error(self) -> float:
        """Of a normal distribution with the same interval."""
        return (self.highest - self.lowest) / (2 * TWO_SIDED_95)

    def minus(self, other: "Score") -> "Score":
        """The difference to a score on other rows."""
        value, half = self.value - other.value, TWO_SIDED_95 * hypot(self.standard_error, other.standard_error)
        return Score(value, value - half, value + half) if half < inf else Score(value)


@dataclass(frozen=True, slots=True)
class MetricScores:
    """How both versions do by one metric; None if one of them has no score by it.

    difference: the challenger's score less the champion's, row by row on the same rows.
    margin: the loss that counts as none.
    """

    metric: str
    champion: Score | None
    challenger: Score | None
    difference: Score | None = None
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class RowSet:
    """Both versions on one set of rows that neither was fitted on.

    scores: by the metric that decides, by the guards, and by further metrics.
    class_rows: the rows of each class, by the text of its label; empty without classes.
    """

    n_rows: int
    scores: tuple[MetricScores, ...] = ()
    class_rows: dict[str, int] | None = None

    @property
    def deciding(self) -> MetricScores | None:
        return self.scores[0] if self.scores else None


@dataclass(frozen=True, slots=True)
class SliceScores:
    """The rows with one value, or one range of values, of a column.

    difference: of the challenger less the champion, by a metric that is a mean over rows. Its interval is wide enough
    that all slices together are wrong in 5 % of the comparisons.
    """

    column: str
    value: str
    n_rows: int
    metric: str
    champion: float
    challenger: float
    difference: Score
    margin: float


@dataclass(frozen=True, slots=True)
class Speed:
    """One version's seconds for the held-out rows and for one row alone, and the bytes of its file."""

    batch_s: float
    one_row_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """held_out: of the file. remembered: of earlier files, None if there are none.

    incomparable: why the champion's scores would mean nothing; empty if they mean something.
    known_score: the champion's, by the deciding metric, when it was made; None if it is not known.
    over_baseline: the better version's deciding score less that of an estimator that knows no features.
    data_errors: about the file, each a sentence, with which no score of it says which version is better.
    lost_classes, new_classes: labels that the challenger no longer answers, or did not answer before.
    """

    held_out: RowSet
    remembered: RowSet | None = None
    incomparable: str = ""
    known_score: Score | None = None
    over_baseline: Score | None = None
    data_errors: tuple[str, ...] = ()
    lost_classes: tuple[str, ...] = ()
    new_classes: tuple[str, ...] = ()
    slices: tuple[SliceScores, ...] = ()
    champion_speed: Speed | None = None
    challenger_speed: Speed | None = None
