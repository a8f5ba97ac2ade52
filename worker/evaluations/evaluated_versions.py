"""One version on the rows of the files: its answers, or the reason why it cannot be scored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from queuecast.domain.columns.extra_columns import IgnoredColumns
from queuecast.domain.columns.outside_columns import columns_outside
from queuecast.domain.errors import InvalidInputError, JobStoppedError, QueuecastError, UnavailableError, exception_text
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.findings.data_findings import DataFinding, Severity
from queuecast.domain.model import BadCell, Manifest
from queuecast.domain.work import EvaluatedVersion, EvaluationWork
from queuecast.ports.models import ModelRegistry
from worker.evaluations.file_findings import file_findings
from worker.evaluations.fitted_sides import FittedSide, fitted_side
from worker.labelled.targets import enumerate_labels, label_mismatch, labels_of
from worker.labelled.training_files import TrainingFile, comparable_in_all, ignored_in_files
from worker.labelled.training_rows import TrainingRows, read_training_rows
from worker.models.loading import EstimatorCache
from worker.scoring.answers import Answers, answers_of
from worker.scoring.metrics import ChosenMetrics, chosen_metrics


@dataclass(frozen=True, slots=True)
class AnsweredVersion:
    """target: of the rows that fit the version, array (n_rows,) or (n_rows, n_targets). places: of these rows among all
    rows of the files. ignored: the columns that the version does not have. findings: about labels that the version does
    not know, and of the first version that has answers also about the rows, found with its reference.
    """

    version: int
    alias: str | None
    answers: Answers
    metrics: ChosenMetrics
    target: Any
    weights: Any
    places: Any
    side: FittedSide
    n_rows: int
    bad_cells: tuple[BadCell, ...] = ()
    ignored: IgnoredColumns | None = None
    findings: tuple[DataFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class UnscoredVersion:
    """reason: why it cannot be scored. error: the one that the version met; None if the reason is none."""

    version: int
    alias: str | None
    reason: str
    error: QueuecastError | None = None


class NotScoredError(QueuecastError):
    """The version cannot be scored on these rows."""

    code = "not_scored"


@dataclass(slots=True)
class VersionReader:
    """Reads the files and asks the versions, one after the other. Keeps the rows, because many versions read alike."""

    models: ModelRegistry
    estimators: EstimatorCache
    model: str
    work: EvaluationWork
    files: Sequence[TrainingFile]
    left_out: Callable[[int], Path | None]
    _read: tuple[Any, TrainingRows, str] | None = field(default=None, init=False)

    def answered(self, wanted: EvaluatedVersion, *, with_findings: bool) -> AnsweredVersion | UnscoredVersion:
        """with_findings: whether to look for findings about the rows, too."""
        try:
            return self._answered(wanted, with_findings=with_findings)
        except (JobStoppedError, UnavailableError):
            raise
        except QueuecastError as error:
            return UnscoredVersion(wanted.version, wanted.alias, error.detail, error)

    def _answered(self, wanted: EvaluatedVersion, *, with_findings: bool) -> AnsweredVersion:
        work = self.work
        manifest = self.models.manifest(self.model, wanted.version)
        if not manifest.may_have_target(work.target):
            known, found = list_names(manifest.target), list_names(work.target)
            raise NotScoredError(f"it was fitted on the target {known}, and the request names {found}")
        estimator = self.estimators.load(manifest)
        ignored = ignored_in_files(self.files, work.as_training, manifest, None)
        rows, unreadable = self._rows(manifest, needs_numbers=is_regressor(estimator))
        _require_known_labels(manifest, rows.target)
        features = rows.take_as_fitted(list(range(rows.n_rows)))
        answers = answers_of(estimator, features, None)
        gate = replace(manifest.gate, metric=work.metric or manifest.gate.metric)
        metrics = chosen_metrics(gate, estimator, answers, rows.target)
        if not metrics.deciding:
            name = type(estimator).__name__
            raise NotScoredError(f"{name} has no metric by default that compares its answers with a target; name one")
        if "predict" not in answers.outputs:
            raise NotScoredError(_why_no_answers(estimator, features))
        hashes = [file.sha256 for file in work.files]
        return AnsweredVersion(
            wanted.version,
            wanted.alias,
            answers,
            metrics,
            rows.target,
            rows.weights,
            np.arange(rows.n_rows) if rows.places is None else rows.places,
            fitted_side(self.models, manifest, rows, hashes, unreadable),
            rows.n_rows + rows.bad_rows,
            rows.bad_cells,
            ignored,
            (
                *_label_findings(manifest, rows.target, work.target),
                *(file_findings(self.models, manifest, rows, work.target) if with_findings else ()),
            ),
        )

    def _rows(self, manifest: Manifest, *, needs_numbers: bool) -> tuple[TrainingRows, str]:
        """The rows, and why they cannot be split by the version's rule; empty if they can be."""
        read_by = (manifest.signature, manifest.classes, manifest.holdout, needs_numbers)
        if self._read is not None and self._read[0] == read_by:
            return self._read[1:]
        self._read = None  # the rows of two versions need not fit into memory together
        rows, unreadable = self._split_rows(manifest, needs_numbers=needs_numbers)
        self._read = read_by, rows, unreadable
        return rows, unreadable

    def _split_rows(self, manifest: Manifest, *, needs_numbers: bool) -> tuple[TrainingRows, str]:
        """Reads the columns by which the version's rows were split, if the files have them."""

        def read(how: Manifest) -> TrainingRows:
            left_out = self.left_out(manifest.version)
            return read_training_rows(
                self.files, how, self.work.as_training, needs_numbers=needs_numbers, left_out=left_out
            )

        rule, unsplit = manifest.holdout, replace(manifest, holdout=None)
        if rule is None:
            return read(unsplit), ""
        needed = list(rule.columns) if rule.is_by_time else list(columns_outside(rule.columns, manifest.signature))
        found = comparable_in_all(self.files, needed)
        missing = [name for name in needed if name not in found]
        if missing:
            why = f"the file lacks {list_names(missing)}, by which the rows of version {manifest.version} were split"
            return read(unsplit), why
        try:
            return read(manifest), ""
        except InvalidInputError as error:
            if not needed:
                raise
            return read(unsplit), f"the rows cannot be split as those of version {manifest.version}: {error.detail}"


def _require_known_labels(manifest: Manifest, target: Any) -> None:
    """Raises NotScoredError if the version knows none of the labels."""
    who = f"version {manifest.version}"
    reason = label_mismatch(manifest, target, who)
    if reason:
        raise NotScoredError(reason)
    known = labels_of(manifest, 0)
    if np.ndim(target) == 1 and known and not set(target.tolist()) & set(known):
        found = enumerate_labels(np.unique(target).tolist())
        raise NotScoredError(f"the file has the labels {found} where {who} predicts {enumerate_labels(known)}")


def _label_findings(manifest: Manifest, target: Any, names: Sequence[str]) -> list[DataFinding]:
    known = set(labels_of(manifest, 0))
    if np.ndim(target) != 1 or not known:
        return []
    values, counts = np.unique(target, return_counts=True)
    unknown = [
        (value, count) for value, count in zip(values.tolist(), counts.tolist(), strict=True) if value not in known
    ]
    if not unknown:
        return []
    n_rows = sum(count for _, count in unknown)
    labels = enumerate_labels([value for value, _ in unknown])
    detail = (
        f"{n_rows:,} of the {len(target):,} rows have the labels {labels}, which version {manifest.version} does not "
        "know and so never answers"
    )
    return [DataFinding("unknown_labels", Severity.WARNING, detail, names[0], labels)]


def _why_no_answers(estimator: Any, features: Any) -> str:
    try:
        estimator.predict(features)
    except Exception as error:  # an estimator raises what it likes
        return f"predict raised {exception_text(error)}"
    return f"{type(estimator).__name__} has no predict"
