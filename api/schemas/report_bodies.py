"""Reports of trainings and evaluations as documents. The fields are those of `queuecast.domain.reports`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.schemas.fields import Count, DataFinding, JobId, Name, Positive, Sha256, Time
from api.schemas.gate import Criterion, GateSettings, MetricScores, ScoreInterval
from api.schemas.responses import Lineage
from api.schemas.results import EvaluatedRows, EvaluatedVersion
from queuecast.domain.gate import Verdict

Role = Annotated[str, Meta(description="`champion` or `challenger`; in an evaluation `version` and its number.")]


class Curve(Struct):
    """The points of a line, at most 200. `area` is the score of the line with all of its points."""

    x: list[float]
    y: list[float]
    area: float


class ClassCurves(Struct):
    """How a version ranks the rows of one class against all others."""

    label: str
    n_rows: Count
    roc: Annotated[Curve, Meta(description="From false alarms to the share found; the area is the ROC AUC.")]
    precision_recall: Annotated[Curve, Meta(description="From recall to precision; the area is the average precision.")]


class Confusion(Struct):
    """A row of counts for each true class, by predicted class. Rare classes are together in the last label."""

    labels: list[str]
    counts: list[list[Count]]


class CalibrationBin(Struct):
    """Rows with a similar probability: its mean, and the share of the rows for which it came true."""

    predicted: float
    observed: float
    n_rows: Count


class Calibration(Struct):
    """How often the probability of a class comes true. The label is empty for the class that is answered."""

    label: str
    bins: list[CalibrationBin]
    error: Annotated[float, Meta(description="The expected calibration error.")]


class Residuals(Struct):
    """Target less prediction. Quantiles are at 0, 5, 25, 50, 75, 95 and 100 %."""

    mean: float
    deviation: float
    quantiles: list[float]
    edges: Annotated[list[float], Meta(description="Of the histogram: one more than `counts`.")]
    counts: list[Count]
    predictions: Annotated[list[float], Meta(description="Of some rows.")]
    differences: Annotated[list[float], Meta(description="Target less prediction of the same rows.")]


class VersionFacts(Struct):
    """How one version answered the held-out rows, or those of an evaluation."""

    role: Role
    curves: list[ClassCurves]
    confusion: Confusion | None
    calibration: Calibration | None
    residuals: Residuals | None


class TargetRows(Struct):
    """The rows of a class, or of a range of numbers. Those of an evaluation count as held out."""

    label: str
    fitted: Count
    held_out: Count


class TargetFacts(Struct):
    """The facts about one target."""

    name: str
    rows: list[TargetRows]
    versions: list[VersionFacts]
    churn: Annotated[float | None, Meta(description="The share of rows that the versions answer differently.")]
    mean_change: Annotated[
        float | None,
        Meta(description="Of numbers: the mean distance of the answers, in standard deviations of the target."),
    ]


class ColumnImportance(Struct):
    """How much the metric falls if the values of the column are shuffled: the mean, and the standard deviation."""

    column: str
    drop: float
    deviation: float


class Importance(Struct):
    """Permutation importance of the challenger's columns, the largest first."""

    metric: str
    n_rows: Count
    n_columns: Count
    columns: list[ColumnImportance]
    reason: Annotated[str, Meta(description="Why columns are missing; empty if all were tried.")]


class ReportFinding(Struct):
    """A fact about the file that a person should know."""

    code: str
    severity: Literal["info", "warning", "error"]
    detail: str
    column: str | None


class TrainingFacts(Struct):
    """The facts about the rows of a training."""

    targets: list[TargetFacts]
    importance: Importance | None
    findings: list[ReportFinding]
    is_weighted: Annotated[bool, Meta(description="Whether curves, calibration and importance are weighted.")]


class RowSet(Struct):
    """Both versions on one set of rows. The first metric decides."""

    n_rows: Count
    scores: list[MetricScores]
    class_rows: dict[str, Count] | None


class SliceScores(Struct):
    """Both versions on the rows with one value, or one range of values, of a column."""

    column: str
    value: str
    n_rows: Count
    metric: str
    champion: float
    challenger: float
    difference: ScoreInterval
    margin: float


class Speed(Struct):
    """Seconds for all held-out rows and for one row, and the bytes of the file."""

    batch_s: float
    one_row_s: float
    size_bytes: Count


class Evidence(Struct):
    """The facts by which the gate decided."""

    held_out: RowSet
    remembered: RowSet | None
    incomparable: str
    known_score: ScoreInterval | None
    over_baseline: ScoreInterval | None
    data_errors: Annotated[list[str], Meta(description="Faults of the file that make its scores mean nothing.")]
    lost_classes: list[str]
    new_classes: list[str]
    slices: list[SliceScores]
    champion_speed: Speed | None
    challenger_speed: Speed | None


class Decision(Struct):
    """The verdict, and the criteria that led to it."""

    verdict: Verdict
    reason: str
    criteria: list[Criterion]


class DataFindings(Struct):
    """The most severe findings of the data checks, and the number of all."""

    first: list[DataFinding]
    total: Count


class Evaluation(Struct):
    """The settings of the gate, the facts, and the decision."""

    settings: GateSettings
    evidence: Evidence
    decision: Decision
    findings: DataFindings


class ReportedVersion(Struct):
    """One of the versions that were compared."""

    role: Role
    version: Positive
    estimator: str
    created_at: Time
    sha256: Sha256
    environment: dict[str, str]
    description: str


class TrainingReport(Struct):
    """How a training compared two versions. A champion that was deleted since is missing in `versions`."""

    kind: Literal["training"]
    headline: Annotated[str, Meta(description="The verdict in one sentence.")]
    model: Name
    job_id: JobId
    created_at: Time
    target: list[str]
    versions: list[ReportedVersion]
    promoted: bool
    reason: str
    evaluation: Evaluation
    facts: TrainingFacts
    lineage: Lineage


class EvaluationFacts(Struct):
    """The facts about the answers of the first five versions that could be compared, and where all versions come from.

    `files` has the SHA-256 of each file. Evaluations of earlier releases have no facts.
    """

    targets: list[TargetFacts]
    versions: list[ReportedVersion]
    files: list[Sha256]
    findings: list[ReportFinding]
    is_weighted: Annotated[bool, Meta(description="Whether curves and calibration are weighted.")]


class EvaluationReport(Struct):
    """How versions of a model did on the same labelled rows: the result of the job, and facts about the answers."""

    kind: Literal["evaluation"]
    headline: Annotated[str, Meta(description="The comparison by the primary metric, as a sentence.")]
    model: Name
    job_id: JobId
    created_at: Annotated[Time, Meta(description="When the evaluation ended.")]
    target: list[str]
    metric: Annotated[str, Meta(description="The primary metric.")]
    compared_with: Annotated[int, Meta(description="The version that the differences are from.")]
    rows: EvaluatedRows
    versions: list[EvaluatedVersion]
    findings: Annotated[list[DataFinding], Meta(description="The most severe 20.")]
    findings_total: Count
    facts: EvaluationFacts
