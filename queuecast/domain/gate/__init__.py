"""The gate: decides from the facts of an evaluation whether a challenger may become champion."""

from queuecast.domain.gate.criteria import Criterion, Outcome
from queuecast.domain.gate.decision import Decision, Verdict, decide, is_promoted
from queuecast.domain.gate.evaluation import EVALUATION_FILE, Evaluation, recorded_scores
from queuecast.domain.gate.evidence import Evidence, MetricScores, RowSet, Score, SliceScores, Speed
from queuecast.domain.gate.gate_settings import GateSettings, PromotionPolicy
from queuecast.domain.gate.metric_names import METRIC_NAMES, require_known_metrics

__all__ = [
    "EVALUATION_FILE",
    "METRIC_NAMES",
    "Criterion",
    "Decision",
    "Evaluation",
    "Evidence",
    "GateSettings",
    "MetricScores",
    "Outcome",
    "PromotionPolicy",
    "RowSet",
    "Score",
    "SliceScores",
    "Speed",
    "Verdict",
    "decide",
    "is_promoted",
    "recorded_scores",
    "require_known_metrics",
]
