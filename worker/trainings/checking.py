"""Checks the rows of a training against the champion, and learns the reference that the new version keeps."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from queuecast.domain.findings.data_findings import DataFinding
from queuecast.domain.holdout import Split
from queuecast.domain.model import Manifest
from queuecast.domain.trainings.reference import Reference
from queuecast.ports.models import ModelRegistry
from worker.data_checks.checks import CheckedRows, check_rows
from worker.data_checks.references import counted_names, learn_reference, read_reference
from worker.data_checks.repeated_rows import repeated_rows
from worker.labelled.training_rows import TrainingRows


def check_training_rows(
    models: ModelRegistry,
    champion: Manifest,
    estimator: Any,
    rows: TrainingRows,
    split: Split,
    target_names: Sequence[str],
    *,
    keeps_classes: bool = False,
) -> tuple[list[DataFinding], Reference]:
    """estimator: the champion's. keeps_classes: whether the challenger has the champion's classes in any case."""
    are_classes = rows.target is not None and (is_classifier(estimator) or bool(champion.classes))
    repeated = repeated_rows(rows.features, rows.target, are_classes=are_classes)
    checked = CheckedRows(
        rows.features,
        counted_names(champion.signature),
        rows.target,
        target_names,
        rows.n_rows,
        split.train,
        repeated,
        lambda at: estimator.predict(rows.take_as_fitted(list(map(int, at)))),
    )
    known = read_reference(models, champion)
    findings = list(check_rows(checked, champion, known, are_classes=are_classes, keeps_classes=keeps_classes))
    reference = learn_reference(rows.features, checked.names, np.asarray(split.train), rows.target)
    return findings, replace(reference, duplicates=repeated[0], conflicts=repeated[1])
