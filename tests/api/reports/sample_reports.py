"""Reports of every kind of training and evaluation, made by hand, with the names that a test chooses."""

from dataclasses import replace
from typing import Any

from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.gate import (
    Evaluation,
    Evidence,
    GateSettings,
    MetricScores,
    RowSet,
    Score,
    SliceScores,
    Speed,
    decide,
)
from queuecast.domain.model import Lineage
from queuecast.domain.reports import (
    Calibration,
    CalibrationBin,
    ClassCurves,
    ColumnImportance,
    Confusion,
    Curve,
    EvaluatedMetric,
    EvaluationFacts,
    EvaluationOutcome,
    EvaluationReport,
    FittedRows,
    Importance,
    ReportedVersion,
    ReportFinding,
    Residuals,
    ScoredRows,
    TargetFacts,
    TargetRows,
    TrainingFacts,
    TrainingReport,
    VersionFacts,
    VersionOutcome,
    version_role,
)

ROLES = ("champion", "challenger")
DAY = 1_790_000_000.0


def evaluation(gain: float = 0.02, column: str = "age", **changes: Any) -> Evaluation:
    champion, challenger = Score(-0.45, -0.5, -0.4), Score(-0.45 + gain, -0.5 + gain, -0.4 + gain)
    scores = (
        MetricScores("neg_log_loss", champion, challenger, Score(gain, gain - 0.01, gain + 0.01), 0.01),
        MetricScores("accuracy", Score(0.8, 0.7, 0.9), Score(0.82, 0.72, 0.92), Score(0.02, 0.0, 0.05), 0.01),
        MetricScores("f1_macro", Score(0.8, 0.7, 0.9), None),
    )
    found = SliceScores(column, "30 to 40", 60, "neg_log_loss", -0.5, -0.4, Score(0.1, -0.1, 0.3), 0.02)
    evidence = Evidence(
        RowSet(180, scores, {"died": 110, "survived": 70}),
        over_baseline=Score(0.2, 0.1, 0.3),
        slices=(found,),
        champion_speed=Speed(0.01, 0.001, 20_000),
        challenger_speed=Speed(0.02, 0.0005, 30_000),
    )
    settings = GateSettings()
    evidence = replace(evidence, **changes)
    return Evaluation(settings, evidence, decide(settings, evidence))


def class_target(
    name: str = "survived", labels: tuple[str, ...] = ("died", "survived"), points: int = 30
) -> TargetFacts:
    shares = tuple(at / (points - 1) for at in range(points))
    curve = Curve(shares, tuple(share**0.5 for share in shares), 0.667)
    bins = tuple(CalibrationBin(at / 10 + 0.05, at / 10, 18) for at in range(10))
    counts = tuple(tuple(50 if row == column else 3 for column in range(len(labels))) for row in range(len(labels)))
    versions = tuple(
        VersionFacts(
            role,
            tuple(ClassCurves(label, 70, curve, curve) for label in labels[1:6]),
            Confusion(labels, counts),
            Calibration(labels[1], bins, 0.05),
        )
        for role in ROLES
    )
    return TargetFacts(name, tuple(TargetRows(label, 400, 100) for label in labels), versions, churn=0.1)


def number_target(name: str = "fare") -> TargetFacts:
    edges = tuple(float(at - 5) for at in range(11))
    shown = tuple(float(at % 7) for at in range(200))
    residuals = Residuals(0.1, 2.0, (-5, -3, -1, 0, 1, 3, 5), edges, (1, 2, 4, 8, 16, 16, 8, 4, 2, 1), shown, shown)
    rows = tuple(TargetRows(f"{at} to {at + 1}", 40, 10) for at in range(10))
    return TargetFacts(name, rows, tuple(VersionFacts(role, residuals=residuals) for role in ROLES), 1.0, 0.25)


def report(
    *targets: TargetFacts, column: str = "age", text: str = "LogisticRegression()", **changes: Any
) -> TrainingReport:
    columns = tuple(ColumnImportance(f"{column}{at}", 0.3 - 0.1 * at, 0.05) for at in range(4))
    found = TrainingReport(
        model="titanic",
        job_id="job_00000001-0000-7000-8000-000000000000",
        created_at=DAY,
        target=tuple(target.name for target in targets) or ("survived",),
        versions=tuple(
            ReportedVersion(role, at, text, DAY, "ab" * 32, {"sklearn": "1.9.1"}, text)
            for at, role in enumerate(ROLES, 2)
        ),
        promoted=True,
        reason="neg_log_loss is better",
        evaluation=evaluation(column=column),
        facts=TrainingFacts(
            targets or (class_target(),),
            Importance("neg_log_loss", 180, 9, columns),
            (ReportFinding("bad_rows", "warning", "2 bad rows of the file left out", column),),
        ),
        lineage=Lineage(2, "cd" * 32, {"model__C": 0.5}, 711, 180, 2),
    )
    return replace(found, **changes)


METRICS = ("neg_log_loss", "accuracy", "balanced_accuracy", "roc_auc", "f1_macro", "average_precision")


def evaluated(target: TargetFacts, n_versions: int) -> TargetFacts:
    """The facts of the first version, as those of each of several versions of an evaluation."""
    versions = tuple(replace(target.versions[0], role=version_role(at)) for at in range(1, n_versions + 1))
    return replace(target, versions=versions, churn=None, mean_change=None)


def evaluation_report(*targets: TargetFacts, scored: int = 2, text: str = "LogisticRegression()") -> EvaluationReport:
    """Versions 1 to `scored` with scores, and one more without."""
    versions = []
    for at in range(1, scored + 1):
        difference = None if at == 1 else Score(0.01 * at, 0.001, 0.02 * at)
        scores = tuple(EvaluatedMetric(metric, Score(0.8, 0.75, 0.85), difference) for metric in METRICS)
        fitted = FittedRows(trained_on_file=False, known_rows=0, fit_side=10, held_out_side=170, unknown="")
        versions.append(VersionOutcome(at, "champion" if at == 1 else None, True, "", scores, "", fitted))
    versions.append(VersionOutcome(scored + 1, None, False, f"it was fitted on {text}", (), "", None))
    outcome = EvaluationOutcome(
        "titanic",
        tuple(target.name for target in targets) or ("survived",),
        "By neg_log_loss on 180 rows, version 2 is better than version 1.",
        "neg_log_loss",
        1,
        ScoredRows(180, 3),
        tuple(versions),
        (DataFinding("few_rows", Severity.WARNING, f"{text} has few rows", text),),
        21,
    )
    origins = tuple(
        ReportedVersion(version_role(at), at, text, DAY, "ab" * 32, {"sklearn": "1.9.1"}, text)
        for at in range(1, scored + 1)
    )
    facts = EvaluationFacts(targets, origins, ("cd" * 32,))
    return EvaluationReport("job_00000001-0000-7000-8000-000000000000", DAY, outcome, facts)
