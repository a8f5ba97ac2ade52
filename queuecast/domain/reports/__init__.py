"""Reports: the facts about the answers of versions, and the documents that trainings and evaluations end with."""

from queuecast.domain.reports.answer_facts import (
    OTHER_CLASSES,
    Calibration,
    CalibrationBin,
    ClassCurves,
    Confusion,
    Curve,
    Residuals,
    TargetFacts,
    TargetRows,
    VersionFacts,
)
from queuecast.domain.reports.evaluation_report import (
    EvaluatedMetric,
    EvaluationFacts,
    EvaluationOutcome,
    EvaluationReport,
    FittedRows,
    ScoredRows,
    VersionOutcome,
    version_role,
)
from queuecast.domain.reports.headline import headline
from queuecast.domain.reports.training_report import (
    REPORT_FILE,
    ColumnImportance,
    Importance,
    ReportedVersion,
    ReportFinding,
    TrainingFacts,
    TrainingReport,
)

__all__ = [
    "OTHER_CLASSES",
    "REPORT_FILE",
    "Calibration",
    "CalibrationBin",
    "ClassCurves",
    "ColumnImportance",
    "Confusion",
    "Curve",
    "EvaluatedMetric",
    "EvaluationFacts",
    "EvaluationOutcome",
    "EvaluationReport",
    "FittedRows",
    "Importance",
    "ReportFinding",
    "ReportedVersion",
    "Residuals",
    "ScoredRows",
    "TargetFacts",
    "TargetRows",
    "TrainingFacts",
    "TrainingReport",
    "VersionFacts",
    "VersionOutcome",
    "headline",
    "version_role",
]
