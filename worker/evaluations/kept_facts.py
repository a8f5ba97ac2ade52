"""The facts of an evaluation's report: curves, matrices or residuals of the first versions on the scored rows."""

from collections.abc import Sequence

import msgspec

from queuecast.domain.reports import EvaluationFacts, ReportedVersion, ReportFinding, TargetFacts, version_role
from queuecast.domain.work import EvaluationWork
from queuecast.ports.models import ModelRegistry
from worker.evaluations.version_scores import ScoredVersion
from worker.reports.attempts import attempted
from worker.reports.target_facts import target_facts
from worker.scoring.labelled_rows import LabelledRows

MAX_VERSIONS = 5


def encoded_facts(models: ModelRegistry, model: str, work: EvaluationWork, scored: Sequence[ScoredVersion]) -> bytes:
    findings: list[ReportFinding] = []
    targets: tuple[TargetFacts, ...] = ()
    targets = attempted(lambda: _targets(work, scored), targets, findings)
    versions = tuple(_reported(models, model, each.answered.version) for each in scored)
    files, is_weighted = tuple(file.sha256 for file in work.files), work.weight_column is not None
    return msgspec.json.encode(EvaluationFacts(targets, versions, files, tuple(findings), is_weighted))


def _targets(work: EvaluationWork, scored: Sequence[ScoredVersion]) -> tuple[TargetFacts, ...]:
    """Of the versions that can be compared with the first one. Fewer targets have facts if there are more versions."""
    first = scored[0]
    kind = first.answered.answers.is_classifier
    alike = [each for each in scored if not each.not_compared and each.answered.answers.is_classifier == kind]
    answers = {version_role(each.answered.version): each.rows.versions["version"] for each in alike[:MAX_VERSIONS]}
    rows = LabelledRows(first.rows.target, answers, first.rows.weights)
    return target_facts(work.target, rows, None, max(1, 20 // len(answers)))


def _reported(models: ModelRegistry, model: str, version: int) -> ReportedVersion:
    manifest = models.manifest(model, version)
    return ReportedVersion(
        version_role(version),
        version,
        manifest.estimator,
        manifest.created_at,
        manifest.sha256,
        manifest.environment,
        manifest.description,
    )
