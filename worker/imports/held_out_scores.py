"""Scores a pushed version on held-out rows that came with it, and keeps them for later comparisons."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from sklearn.base import is_regressor

from queuecast.domain.errors import InvalidInputError
from queuecast.domain.file_formats import training_format
from queuecast.domain.gate import recorded_scores
from queuecast.domain.model import Manifest
from queuecast.domain.trainings.reference import Reference
from queuecast.domain.work import TrainingWork
from queuecast.ports.files import StoredFile
from worker.data_checks.references import with_target
from worker.labelled.held_out_rows import HELD_OUT_FILE, held_out_record
from worker.labelled.training_files import TrainingFile
from worker.labelled.training_rows import read_training_rows
from worker.models.model_output import class_labels
from worker.scoring.answers import answers_of
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels
from worker.scoring.metrics import chosen_metrics
from worker.scoring.row_sets import CHALLENGER, row_set


def with_scores(
    manifest: Manifest, estimator: Any, path: Path, stored: StoredFile, reference: Reference
) -> tuple[Manifest, Reference, dict[str, bytes]]:
    """The manifest with scores, the reference with targets, and the record of the rows. path: of a table with targets.

    Raises InvalidInputError if the rows do not fit the version.
    """
    manifest = replace(manifest, classes=class_labels(estimator))
    work = TrainingWork(stored.id, stored.sha256, manifest.target)
    file = TrainingFile(path, training_format(stored.name, stored.media_type))
    unsplit = replace(manifest, holdout=None)  # all of these rows are held out
    try:
        rows = read_training_rows([file], unsplit, work, needs_numbers=is_regressor(estimator))
    except InvalidInputError as error:
        raise InvalidInputError(f"the held-out rows: {error.detail}", error.findings, total=error.total) from None
    everything = list(range(len(rows.target)))
    answers = answers_of(estimator, rows.take_as_fitted(everything), None)
    metrics = chosen_metrics(manifest.gate, estimator, answers, rows.target)
    coded = with_coded_labels(LabelledRows(rows.target, {CHALLENGER: answers}))
    found = row_set(coded, metrics, manifest.gate, {})
    scores = recorded_scores(found)
    recorded = {
        "metric": metrics.deciding or None,
        "challenger": scores.get(metrics.deciding, [None])[0],
        "holdout_rows": found.n_rows,
        "scores": scores,
    }
    record = held_out_record(manifest.signature, rows, everything) if manifest.gate.remember else None
    records = {} if record is None else {HELD_OUT_FILE: record}
    return replace(manifest, metrics=recorded), with_target(reference, rows.target), records
