"""The evaluation of a training as its three records: beside the version, in the manifest, and in the job's result."""

from dataclasses import asdict
from typing import Any

import msgspec

from queuecast.domain.errors import UnknownVersionError
from queuecast.domain.gate import (
    EVALUATION_FILE,
    Decision,
    Evaluation,
    Evidence,
    GateSettings,
    MetricScores,
    RowSet,
    Score,
    Verdict,
    recorded_scores,
)
from queuecast.domain.model import BadCell, Lineage, Manifest
from queuecast.ports.models import ModelRegistry


def read_evaluation(models: ModelRegistry, manifest: Manifest) -> Evaluation:
    """Of a version that a training published. One of code without evaluations has its scores in the manifest."""
    try:
        data = models.file(manifest.model, manifest.version, EVALUATION_FILE)
    except UnknownVersionError:
        return _of_metrics(manifest.metrics)
    return msgspec.json.decode(data, type=Evaluation)


def recorded_metrics(evaluation: Evaluation, champion_version: int) -> dict[str, Any]:
    """For the manifest."""
    decision, held_out = evaluation.decision, evaluation.evidence.held_out
    return {
        "metric": evaluation.metric,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "challenger": evaluation.challenger_score,
        "champion": evaluation.champion_score,
        "champion_version": champion_version,
        "holdout_rows": held_out.n_rows,
        "scores": recorded_scores(held_out),
    }


def training_result(
    published: Manifest, champion_version: int, evaluation: Evaluation, *, promoted: bool, reason: str
) -> dict[str, Any]:
    evidence = evaluation.evidence
    return {
        "model": published.model,
        "version": published.version,
        "verdict": evaluation.decision.verdict,
        "promoted": promoted,
        "reason": reason,
        "metric": evaluation.metric,
        "champion": {"version": champion_version, "score": evaluation.champion_score},
        "challenger": {"version": published.version, "score": evaluation.challenger_score},
        "criteria": [asdict(criterion) for criterion in evaluation.decision.criteria],
        "scores": [_scores_row(scores) for scores in evidence.held_out.scores],
        "remembered": [] if evidence.remembered is None else [_scores_row(each) for each in evidence.remembered.scores],
        "findings": [asdict(finding) for finding in evaluation.findings.first],
        "findings_total": evaluation.findings.total,
        **_rows_of(published.lineage),
    }


def _scores_row(scores: MetricScores) -> dict[str, Any]:
    row: dict[str, Any] = {"metric": scores.metric, "margin": scores.margin}
    for name, score in (
        ("champion", scores.champion),
        ("challenger", scores.challenger),
        ("difference", scores.difference),
    ):
        row[name] = None if score is None else asdict(score)
    return row


def _rows_of(lineage: Lineage | None) -> dict[str, Any]:
    if lineage is None:
        return {"rows": {}}
    rows = {"train": lineage.train_rows, "holdout": lineage.holdout_rows, "bad": lineage.bad_rows}
    return {"rows": rows, "bad_cells": [_shown(cell) for cell in lineage.bad_cells]}


def _shown(cell: BadCell) -> dict[str, Any]:
    """Only a training with several files names them."""
    shown = asdict(cell)
    return shown if cell.file else {name: value for name, value in shown.items() if name != "file"}


def _of_metrics(metrics: dict[str, Any]) -> Evaluation:
    def score(value: float | None) -> Score | None:
        return None if value is None else Score(value, value, value)

    scores = MetricScores(metrics["metric"] or "score", score(metrics["champion"]), score(metrics["challenger"]))
    decision = Decision(Verdict(metrics["verdict"]), metrics["reason"] or "decided by one score", ())
    return Evaluation(GateSettings(), Evidence(RowSet(metrics.get("holdout_rows", 0), (scores,))), decision)
