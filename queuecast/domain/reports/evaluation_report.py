"""The report of an evaluation: the job's result, and the facts that the worker kept beside it."""

from dataclasses import dataclass, field

from queuecast.domain.findings.data_findings import DataFinding
from queuecast.domain.gate import Score
from queuecast.domain.reports.answer_facts import TargetFacts
from queuecast.domain.reports.training_report import ReportedVersion, ReportFinding


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """The content of REPORT_FILE, in the folder of the job. Scores and findings are in the job's result.

    targets: with the facts of the first versions only, so that a report stays small. versions: all that were scored.
    files: the SHA-256 of each. findings: facts that could not be computed. is_weighted: whether curves and calibration
    count rows by their weights.
    """

    targets: tuple[TargetFacts, ...] = ()
    versions: tuple[ReportedVersion, ...] = ()
    files: tuple[str, ...] = ()
    findings: tuple[ReportFinding, ...] = ()
    is_weighted: bool = False


@dataclass(frozen=True, slots=True)
class EvaluatedMetric:
    """difference: of the score less that of the first version, row by row on the same rows."""

    metric: str
    score: Score | None
    difference: Score | None


@dataclass(frozen=True, slots=True)
class FittedRows:
    """Rows of the files that the version may have been fitted on; see the result of the job."""

    trained_on_file: bool
    known_rows: int
    fit_side: int | None
    held_out_side: int | None
    unknown: str


@dataclass(frozen=True, slots=True)
class VersionOutcome:
    """reason: why it is not scored."""

    version: int
    alias: str | None
    scored: bool
    reason: str
    scores: tuple[EvaluatedMetric, ...]
    not_compared: str
    fitted: FittedRows | None


@dataclass(frozen=True, slots=True)
class ScoredRows:
    scored: int
    bad: int


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """The result of the job. compared_with: the version that the differences are from."""

    model: str
    target: tuple[str, ...]
    headline: str
    metric: str
    compared_with: int
    rows: ScoredRows
    versions: tuple[VersionOutcome, ...]
    findings: tuple[DataFinding, ...] = ()
    findings_total: int = 0


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """created_at: when the evaluation ended."""

    job_id: str
    created_at: float
    outcome: EvaluationOutcome
    facts: EvaluationFacts = field(default_factory=EvaluationFacts)
    kind: str = "evaluation"


def version_role(version: int) -> str:
    """The name of a version in the facts of an evaluation."""
    return f"version {version}"
