"""Reports: the facts about the answers of two versions, and the document that a training ends with."""

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
    "Importance",
    "ReportFinding",
    "ReportedVersion",
    "Residuals",
    "TargetFacts",
    "TargetRows",
    "TrainingFacts",
    "TrainingReport",
    "VersionFacts",
    "headline",
]
