"""The facts of a training's report that are about its rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from queuecast.domain.errors import short_name
from queuecast.domain.holdout import Split
from queuecast.domain.model import BadCell
from queuecast.domain.reports import Importance, ReportFinding, TargetFacts, TrainingFacts
from queuecast.domain.signature import Signature
from queuecast.plurals import counted
from worker.labelled.training_rows import taken
from worker.models.frames import as_fitted
from worker.reports.attempts import attempted
from worker.reports.importance import MAX_ROWS, ShuffledRows, importance
from worker.reports.target_facts import target_facts
from worker.scoring.answers import METHODS, answers_of
from worker.scoring.intervals import point
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels
from worker.scoring.row_sets import CHALLENGER


@dataclass(frozen=True, slots=True)
class ScoredTraining:
    """A fitted challenger, the rows of its file, and the answers of the versions that were scored.

    signature: by which the rows were read. take_features: the features of the rows at some positions, not yet as the
    estimator takes them. target, weights: of all rows; weights are None if all rows count alike.
    answered: the held-out rows; None if there are none.
    metric: the one that decides; empty without one.
    """

    estimator: Any
    signature: Signature
    target_names: Sequence[str]
    take_features: Callable[[list[int]], Any]
    target: Any
    split: Split
    answered: LabelledRows | None
    metric: str
    weights: Any = None
    bad_rows: int = 0
    bad_cells: Sequence[BadCell] = ()


def training_facts(training: ScoredTraining) -> TrainingFacts:
    findings = list(_findings(training))
    targets: tuple[TargetFacts, ...] = ()
    shuffled: Importance | None = None
    answered = training.answered
    if answered is not None:
        fitted = training.target[training.split.train]
        targets = attempted(lambda: target_facts(training.target_names, answered, fitted), (), findings)
        shuffled = attempted(lambda: _importance(training), None, findings)
    return TrainingFacts(targets, shuffled, tuple(findings), is_weighted=training.weights is not None)


def _findings(training: ScoredTraining) -> Iterator[ReportFinding]:
    if training.bad_rows:
        yield ReportFinding("bad_rows", "warning", f"{counted(training.bad_rows, 'bad row')} of the file left out")
    for cell in training.bad_cells:
        column = None if cell.column is None else short_name(cell.column)
        yield ReportFinding(cell.code, "info", f"row {cell.row}: {cell.detail}", column)


def _importance(training: ScoredTraining) -> Importance | None:
    signature, metric = training.signature, training.metric
    if not metric:
        return None
    if not signature.layout.has_columns:
        return Importance(metric, 0, 0, reason="the rows of this model have no columns")
    test = training.split.test
    if len(test) > MAX_ROWS:
        test = sorted(np.random.default_rng(0).choice(test, MAX_ROWS, replace=False).tolist())
    features, target, weights = training.take_features(test), training.target[test], taken(training.weights, test)
    if hasattr(features, "toarray"):
        if np.prod(features.shape) > 10_000_000:  # 80 MB, if it is made dense
            return Importance(metric, len(test), features.shape[1], reason="the rows have too many columns")
        features = features.toarray()

    def score(shuffled: Any, methods: Sequence[str] = METHODS) -> float:
        taken = as_fitted(signature.sparse, shuffled, signature.labels)
        answers = answers_of(training.estimator, taken, None, methods)
        return point(metric, with_coded_labels(LabelledRows(target, {CHALLENGER: answers}, weights)), CHALLENGER)

    whole = score(features)
    deciding = next(((each,) for each in METHODS if np.isclose(score(features, (each,)), whole)), METHODS)
    columns = [(at, column.name) for at, column in enumerate(signature.columns) if column.read]
    return importance(metric, ShuffledRows(features, columns, partial(score, methods=deciding)))
