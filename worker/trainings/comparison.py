"""Collects the facts by which the gate decides: champion and challenger on the held-out rows, or why not."""

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor

from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.errors import short_name, shortened
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.gate import Evidence, GateSettings, RowSet, Score, Speed
from queuecast.domain.holdout import HoldoutRule, Split, rule_for
from queuecast.domain.model import Manifest
from worker.labelled.held_out_rows import RememberedRows
from worker.labelled.targets import label_mismatch
from worker.labelled.time_split import reason_against_times
from worker.labelled.training_rows import TrainingRows, taken
from worker.models.model_output import class_labels
from worker.scoring.answers import Answers, answers_of
from worker.scoring.intervals import point, scores_of
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels
from worker.scoring.metrics import ChosenMetrics, chosen_metrics
from worker.scoring.row_sets import CHALLENGER, CHAMPION, class_rows, row_set
from worker.scoring.slices import slice_scores


@dataclass(frozen=True, slots=True)
class Contest:
    """A champion and a challenger that was fitted on the `train` side of the same split of the rows.

    challenger_bytes: the size of its file. moved_rows: how many held-out rows the champion is known to be fitted on.
    remembered: held-out rows of earlier files, None if there are none.
    """

    champion: Manifest
    champion_estimator: Any
    challenger_estimator: Any
    target_names: tuple[str, ...]
    rows: TrainingRows
    split: Split
    challenger_bytes: int = 0
    moved_rows: int = 0
    remembered: RememberedRows | None = None
    roles: ColumnRoles = field(default_factory=ColumnRoles)


@dataclass(frozen=True, slots=True)
class Comparison:
    """rows: the held-out rows, with the answers of the versions that were scored; None if no row is held out."""

    evidence: Evidence
    rows: LabelledRows | None


def compare(contest: Contest, settings: GateSettings) -> Comparison:
    rows, test = contest.rows, contest.split.test
    if not test:
        return Comparison(Evidence(RowSet(0), incomparable="no row of the file is held out"), None)
    target = rows.target[test]
    features, one_row = rows.take_as_fitted(test), rows.take_as_fitted(test[:1])
    challenger = answers_of(contest.challenger_estimator, features, one_row)
    metrics = chosen_metrics(settings, contest.challenger_estimator, challenger, target)
    reason = _no_metric(contest, metrics) or incomparable(contest)
    champion = None if reason else answers_of(contest.champion_estimator, features, one_row)
    versions = {CHALLENGER: challenger} if champion is None else {CHAMPION: champion, CHALLENGER: challenger}
    scored = LabelledRows(target, versions, taken(rows.weights, test), taken(rows.groups, test))
    coded = with_coded_labels(scored)
    dummy = _baseline(contest, target, challenger)
    baselines = {"neg_log_loss": _log_loss(replace(scored, versions={"dummy": dummy}))}
    held_out = row_set(coded, metrics, settings, baselines)
    lost, new = _changed_classes(contest)
    evidence = Evidence(
        replace(held_out, class_rows=class_rows(target, are_classes=challenger.is_classifier)),
        remembered=None if reason else _on_remembered(contest, metrics, settings, baselines),
        incomparable=reason,
        known_score=known_score(contest, metrics.deciding),
        over_baseline=_over_baseline(metrics.deciding, scored, dummy),
        lost_classes=lost,
        new_classes=new,
        slices=_slices(coded, rows.take_features(test), settings, baselines),
        champion_speed=None if champion is None else speed(champion, contest.champion.size_bytes),
        challenger_speed=speed(challenger, contest.challenger_bytes),
    )
    return Comparison(evidence, scored)


def _on_remembered(
    contest: Contest, metrics: ChosenMetrics, settings: GateSettings, baselines: dict[str, float]
) -> RowSet | None:
    found = contest.remembered
    if found is None or not settings.remember:
        return None
    versions = {
        CHAMPION: answers_of(contest.champion_estimator, found.features, None),
        CHALLENGER: answers_of(contest.challenger_estimator, found.features, None),
    }
    rows = LabelledRows(found.target, versions, found.weights)
    return row_set(with_coded_labels(rows), metrics, settings, baselines)


def known_score(contest: Contest, metric: str) -> Score | None:
    """The champion's score when it was made, by the same weights."""
    champion = contest.champion
    weight = None if champion.lineage is None else champion.lineage.roles.weight
    recorded = champion.metrics.get("scores") or {} if weight == contest.roles.weight else {}
    return Score(*recorded[metric]) if metric in recorded else None


def _slices(rows: LabelledRows, features: Any, settings: GateSettings, baselines: dict[str, float]) -> tuple[Any, ...]:
    if len(rows.versions) < 2:
        return ()
    return tuple(slice_scores(rows, features, settings.slices, baselines.get("neg_log_loss", 0.0)))


def speed(answers: Answers, size_bytes: int) -> Speed:
    return Speed(answers.batch_s, answers.one_row_s, size_bytes)


def _baseline(contest: Contest, target: Any, challenger: Answers) -> Answers:
    """The answers of an estimator that knows the target of the fitted rows and no feature."""
    dummy = DummyClassifier(strategy="prior") if challenger.is_classifier else DummyRegressor()
    train = contest.split.train
    known = contest.rows.target[train]
    try:
        dummy.fit(np.zeros((len(known), 1)), known, taken(contest.rows.weights, train))
    except (TypeError, ValueError):  # an estimator without a kind may have any target
        return Answers({}, None, is_classifier=False, is_regressor=False)
    return answers_of(dummy, np.zeros((len(target), 1)), None)


def _log_loss(rows: LabelledRows) -> float:
    value = point("neg_log_loss", with_coded_labels(rows), "dummy")
    return value if isfinite(value) else 0.0


def _over_baseline(metric: str, rows: LabelledRows, dummy: Answers) -> Score | None:
    """The difference of the version whose interval has the greater lower bound."""
    if not metric:
        return None
    pairs = [replace(rows, versions={"dummy": dummy, "it": version}) for version in rows.versions.values()]
    found = [scores_of(metric, with_coded_labels(pair)).get("difference") for pair in pairs]
    return max((each for each in found if each is not None), key=lambda each: each.lowest, default=None)


def _no_metric(contest: Contest, metrics: ChosenMetrics) -> str:
    name = type(contest.challenger_estimator).__name__
    return "" if metrics.deciding else f"{name} has no metric that compares its answers with a target"


def _changed_classes(contest: Contest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels that the challenger lacks and those that it adds; with several targets, also the target's number."""
    before = _labels(contest.champion.classes)
    after = _labels(class_labels(contest.challenger_estimator))
    if not before or not after:
        return (), ()
    return tuple(each for each in before if each not in after), tuple(each for each in after if each not in before)


def _labels(classes: Any) -> list[str]:
    if classes and isinstance(classes[0], list):
        return [f"{short_name(str(label))} (target {at})" for at, labels in enumerate(classes) for label in labels]
    return [short_name(str(label)) for label in classes or ()]


def incomparable(contest: Contest) -> str:
    """Why a score of the champion on the held-out rows would mean nothing; empty if it means something."""
    champion, lacking = contest.champion, contest.rows.lacking
    is_supervised = contest.rows.target is not None
    if is_supervised and not champion.may_have_target(contest.target_names):
        known, found = list_names(champion.target), list_names(contest.target_names)
        return f"the champion was fitted on the target {known}, this version on {found}"
    if champion.holdout is None:
        return f"the rows that version {champion.version} was fitted on are unknown, so its score means nothing"
    changed = _changed_split(contest, champion.holdout)
    if changed:
        return changed
    if lacking:
        return (
            f"the rows of version {champion.version} were split by the column {shortened(repr(lacking[0]))} too, which "
            "the file lacks, so its score means nothing. Train on a file that has the column"
        )
    if contest.moved_rows:
        return (
            f"version {champion.version} was fitted on {contest.moved_rows} or more of the held-out rows, which have "
            "rounded numbers in this file and so changed sides; its score means nothing. Train on a file with all "
            "digits"
        )
    return label_mismatch(champion, contest.rows.target, "the champion") if is_supervised else ""


def _changed_split(contest: Contest, known: HoldoutRule) -> str:
    """Why the champion may have been fitted on held-out rows, though its split is known; empty if it was not."""
    version, rule = contest.champion.version, rule_for(known, contest.roles)
    if replace(known, cutoff="") == rule:
        times = contest.rows.times
        return "" if times is None else reason_against_times(times, known, contest.split, version)
    return (
        f"version {version} was split by {_deciding(known)} and this version by {_deciding(rule)}, so version "
        f"{version} may have been fitted on the held-out rows and its score means nothing. Later trainings split as "
        "this version does, and can be compared with it"
    )


def _deciding(rule: HoldoutRule) -> str:
    columns = list_names(rule.columns) if rule.columns else "all columns"
    return f"the time in {columns}" if rule.is_by_time else columns
