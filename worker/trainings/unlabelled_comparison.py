"""Collects the facts by which the gate decides for estimators that learn without a target."""

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from queuecast.domain.errors import Finding, InvalidInputError
from queuecast.domain.gate import Evidence, GateSettings, RowSet
from worker.labelled.training_rows import taken
from worker.scoring.labelled_rows import LabelledRows
from worker.scoring.metrics import ChosenMetrics
from worker.scoring.row_sets import CHALLENGER, CHAMPION, row_set
from worker.scoring.unlabelled import metric_of, reason_against_scores, share_alike, unlabelled_answers
from worker.trainings.comparison import Contest, incomparable, known_score, speed


def needs_target(estimator: Any) -> bool:
    try:
        is_required = bool(get_tags(estimator).target_tags.required)
    except Exception:  # an estimator raises what it likes
        is_required = False
    return is_required or is_classifier(estimator) or is_regressor(estimator)


def require_target(estimator: Any, target: tuple[str, ...]) -> None:
    """Raises InvalidInputError if the estimator cannot learn without a target and the request names none."""
    if not target and needs_target(estimator):
        detail = f"{type(estimator).__name__} learns from a target, and the request names none; name its column"
        raise InvalidInputError(detail, (Finding("/target", "missing_target", detail),))


def is_unlabelled(contest: Contest, settings: GateSettings) -> bool:
    """Whether no metric compares the answers with a target."""
    estimator = contest.challenger_estimator
    return contest.rows.target is None or not (settings.metric or is_classifier(estimator) or is_regressor(estimator))


def unlabelled_evidence(contest: Contest, settings: GateSettings) -> Evidence:
    """Both versions by the score that the estimator gives to a row. Without one, the share of rows on which both agree
    is a part of the reason."""
    rows, test = contest.rows, contest.split.test
    if not test:
        return Evidence(RowSet(0), incomparable="no row of the file is held out")
    features = rows.take_as_fitted(test)
    champion = unlabelled_answers(contest.champion_estimator, features)
    challenger = unlabelled_answers(contest.challenger_estimator, features)
    reason = incomparable(contest) or reason_against_scores(contest.champion_estimator, contest.challenger_estimator)
    if reason:
        share = share_alike(champion, challenger, contest.challenger_estimator)
        reason += "" if share is None else f"; both versions answer alike for {share:.1%} of the held-out rows"
    versions = {CHALLENGER: challenger} if reason else {CHAMPION: champion, CHALLENGER: challenger}
    metric = metric_of(contest.challenger_estimator)
    scored = LabelledRows(np.zeros(len(test)), versions, taken(rows.weights, test), taken(rows.groups, test))
    return Evidence(
        row_set(scored, ChosenMetrics(metric), settings, {}),
        incomparable=reason,
        known_score=known_score(contest, metric),
        champion_speed=speed(champion, contest.champion.size_bytes),
        challenger_speed=speed(challenger, contest.challenger_bytes),
    )
