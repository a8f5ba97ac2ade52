"""The facts about the answers of versions to labelled rows, one target at a time: of champion and challenger to the
held-out rows of a training, or of the versions of an evaluation.

Lists are bounded, so that a report stays small however many rows and classes there are.
"""

from dataclasses import dataclass

OTHER_CLASSES = "(other classes)"


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of a line, thinned. area: the score of the line with all of its points."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


@dataclass(frozen=True, slots=True)
class ClassCurves:
    """How a version ranks the rows of one class against all other rows.

    roc: from the share of false alarms to the share of the class that is found; its area is the ROC AUC.
    precision_recall: from recall to precision; its area is the average precision.
    """

    label: str
    n_rows: int
    roc: Curve
    precision_recall: Curve


@dataclass(frozen=True, slots=True)
class Confusion:
    """counts: a row for each true class, and in it the rows by predicted class, in the order of the labels.

    If there are too many classes, the last label is OTHER_CLASSES.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows with a similar probability. predicted: its mean. observed: the share of the rows for which it came true."""

    predicted: float
    observed: float
    n_rows: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """label: the class whose probability it is; empty if it is that of the class which the version answers.

    error: the expected calibration error, the mean distance of predicted and observed, weighted by rows (Naeini, Cooper
    and Hauskrecht 2015).
    """

    label: str
    bins: tuple[CalibrationBin, ...]
    error: float


@dataclass(frozen=True, slots=True)
class Residuals:
    """Target less prediction, in the unit of the target.

    quantiles: at 0, 5, 25, 50, 75, 95 and 100 %.
    edges, counts: a histogram; there is one edge more than counts. Residuals beyond the edges are in the outer bins.
    predictions, differences: of some rows.
    """

    mean: float
    deviation: float
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    predictions: tuple[float, ...]
    differences: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """role: `champion` or `challenger`; in an evaluation `version 3`. Facts that the version's answers do not allow are
    None or empty."""

    role: str
    curves: tuple[ClassCurves, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    residuals: Residuals | None = None


@dataclass(frozen=True, slots=True)
class TargetRows:
    """The rows of one class or, with numbers, of one range of the target, among the fitted and the held-out rows.

    An evaluation fits nothing: its rows count as held out."""

    label: str
    fitted: int
    held_out: int


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """churn: the share of rows that the two versions answer differently.

    mean_change: for numbers, the mean distance of their answers, in standard deviations of the target. Both are None
    without a champion that can be compared.
    """

    name: str
    rows: tuple[TargetRows, ...]
    versions: tuple[VersionFacts, ...]
    churn: float | None = None
    mean_change: float | None = None
