"""The record of a comparison: settings, facts and decision. Each retrained version has one."""

from dataclasses import dataclass, field

from queuecast.domain.findings.data_findings import DataFindings
from queuecast.domain.gate.decision import Decision
from queuecast.domain.gate.evidence import Evidence, RowSet
from queuecast.domain.gate.gate_settings import GateSettings

EVALUATION_FILE = "evaluation.json"


@dataclass(frozen=True, slots=True)
class Evaluation:
    settings: GateSettings
    evidence: Evidence
    decision: Decision
    findings: DataFindings = field(default_factory=DataFindings)
    """About the data and the fit of the challenger."""

    @property
    def metric(self) -> str | None:
        deciding = self.evidence.held_out.deciding
        return None if deciding is None else deciding.metric

    @property
    def champion_score(self) -> float | None:
        deciding = self.evidence.held_out.deciding
        return None if deciding is None or deciding.champion is None else deciding.champion.value

    @property
    def challenger_score(self) -> float | None:
        deciding = self.evidence.held_out.deciding
        return None if deciding is None or deciding.challenger is None else deciding.challenger.value


def recorded_scores(held_out: RowSet) -> dict[str, list[float | None]]:
    """Metric -> score, lower and upper bound of the challenger, for the manifest. A later training reads them."""
    scores = ((each.metric, each.challenger) for each in held_out.scores)
    return {metric: [score.value, score.low, score.high] for metric, score in scores if score is not None}
