"""All facts about the answers of versions to labelled rows, for each target."""

from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np

from queuecast.domain.reports import OTHER_CLASSES, TargetFacts, TargetRows, VersionFacts
from worker.reports.calibration import calibration
from worker.reports.confusion import MAX_LABELS, confusion
from worker.reports.curves import class_curves
from worker.reports.residuals import residuals
from worker.reports.single_targets import ClassAnswers, CodedTarget, SingleTarget, coded, single_targets
from worker.scoring.labelled_rows import LabelledRows


def target_facts(names: Sequence[str], rows: LabelledRows, fitted: Any, most: int = 10) -> tuple[TargetFacts, ...]:
    """Facts about the first targets.

    rows: labelled rows with the answers of each version, by role. fitted: the target of the fitted rows; None if
    nothing was fitted. An estimator that answers neither classes nor numbers has no facts.
    """
    answers = list(rows.versions.values())
    fitted = rows.target[:0] if fitted is None else fitted
    targets = islice(single_targets(names, rows, fitted), most)
    if all(each.is_classifier for each in answers):
        return tuple(_of_classes(each.name, coded(each), rows.weights) for each in targets)
    if all(each.is_regressor for each in answers):
        return tuple(_of_numbers(each) for each in targets)
    return ()


def _of_classes(name: str, single: CodedTarget, weights: Any) -> TargetFacts:
    versions = tuple(_class_facts(role, single, answers, weights) for role, answers in single.versions.items())
    answered = [each.predictions for each in single.versions.values()]
    churn = float((answered[0] != answered[1]).mean()) if len(answered) == 2 and _are_all(answered) else None
    return TargetFacts(name, _class_rows(single), versions, churn)


def _class_facts(role: str, single: CodedTarget, answers: ClassAnswers, weights: Any) -> VersionFacts:
    """Curves and calibration are weighted. A confusion matrix counts rows."""
    labels, target = single.labels, single.target
    return VersionFacts(
        role,
        class_curves(labels, target, answers.ranks, weights) if answers.ranks is not None else (),
        confusion(labels, target, answers.predictions) if answers.predictions is not None else None,
        calibration(labels, target, answers.probabilities, weights) if answers.probabilities is not None else None,
    )


def _class_rows(single: CodedTarget) -> tuple[TargetRows, ...]:
    """The largest classes, in the order of their labels, and the others together."""
    fitted, held_out = (np.bincount(each, minlength=len(single.labels)) for each in (single.fitted, single.target))
    largest = np.argsort(-(fitted + held_out), kind="stable")
    shown, others = np.sort(largest[:MAX_LABELS]), largest[MAX_LABELS:]
    found = [TargetRows(single.labels[code], int(fitted[code]), int(held_out[code])) for code in shown]
    if len(others):
        found.append(TargetRows(OTHER_CLASSES, int(fitted[others].sum()), int(held_out[others].sum())))
    return tuple(found)


def _of_numbers(single: SingleTarget) -> TargetFacts:
    target, fitted = (np.asarray(each, dtype=np.float64) for each in (single.target, single.fitted))
    predictions = {
        role: np.ravel(answers.predictions).astype(np.float64)
        for role, answers in single.versions.items()
        if answers.predictions is not None and np.size(answers.predictions) == len(target)
    }
    found = residuals(target, predictions) if predictions else {}
    versions = tuple(VersionFacts(role, residuals=found.get(role)) for role in single.versions)
    churn, mean_change = None, None
    if len(predictions) == 2:
        first, second = predictions.values()
        churn = float((first != second).mean())
        mean_change = _mean_change(target, first, second)
    return TargetFacts(single.name, _number_rows(target, fitted), versions, churn, mean_change)


def _mean_change(target: Any, first: Any, second: Any) -> float | None:
    spread = float(target.std())
    change = float(np.abs(second - first).mean())
    return change / spread if spread > 0 and np.isfinite(change) else None


def _number_rows(target: Any, fitted: Any) -> tuple[TargetRows, ...]:
    """Ten ranges of one width; the outer ones have everything beyond."""
    low, high = np.quantile(fitted if len(fitted) else target, [0.005, 0.995])
    if low == high:
        return (TargetRows(f"{low:.6g}", len(fitted), len(target)),)
    edges = np.linspace(low, high, 11)
    counts = [np.histogram(np.clip(each, low, high), edges)[0] for each in (fitted, target)]
    labels = [f"{start:.4g} to {end:.4g}" for start, end in pairwise(edges)]
    return tuple(TargetRows(label, int(a), int(b)) for label, a, b in zip(labels, *counts, strict=True))


def _are_all(found: list[Any]) -> bool:
    return all(each is not None for each in found)
