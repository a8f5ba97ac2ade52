"""The report of a training: the document that the gateway puts together from the files of the version."""

from dataclasses import dataclass, field

from queuecast.domain.gate import Evaluation
from queuecast.domain.model import Lineage
from queuecast.domain.reports.answer_facts import TargetFacts

REPORT_FILE = "report.json"


@dataclass(frozen=True, slots=True)
class ColumnImportance:
    """drop: how much the metric falls if the values of the column are shuffled, the mean of several shuffles.

    deviation: the standard deviation of these falls.
    """

    column: str
    drop: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Importance:
    """Permutation importance of the challenger's columns (Breiman 2001), the largest first.

    n_columns: how many columns the challenger reads. The others were not tried, or mattered less.
    reason: why there is none, or why columns were not tried; empty if all of them were.
    """

    metric: str
    n_rows: int
    n_columns: int
    columns: tuple[ColumnImportance, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportFinding:
    """A fact about the file that a person should know. severity: `info`, `warning` or `error`."""

    code: str
    severity: str
    detail: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The content of REPORT_FILE, in the folder of the version. Settings, scores and origin are in other files.

    is_weighted: whether curves, calibration and importance count rows by their weights.
    """

    targets: tuple[TargetFacts, ...] = ()
    importance: Importance | None = None
    findings: tuple[ReportFinding, ...] = ()
    is_weighted: bool = False


@dataclass(frozen=True, slots=True)
class ReportedVersion:
    """role: `champion` or `challenger`. estimator: as scikit-learn prints it. created_at: seconds since 1970."""

    role: str
    version: int
    estimator: str
    created_at: float
    sha256: str
    environment: dict[str, str] = field(default_factory=dict)
    description: str = ""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """versions: the champion as it was when the training was accepted, then the challenger.

    promoted: whether the challenger became champion. reason: why, or why not.
    """

    model: str
    job_id: str
    created_at: float
    target: tuple[str, ...]
    versions: tuple[ReportedVersion, ...]
    promoted: bool
    reason: str
    evaluation: Evaluation
    facts: TrainingFacts
    lineage: Lineage
    kind: str = "training"

    @property
    def challenger(self) -> int:
        return next(each.version for each in self.versions if each.role == "challenger")

    @property
    def champion(self) -> int:
        """The version that the challenger was compared with."""
        return self.lineage.parent_version
