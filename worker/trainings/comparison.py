"""Compares champion and challenger by one metric on the held-out rows, or says why they cannot be compared."""

import math
from typing import Any

from sklearn.base import is_classifier, is_regressor

from queuecast.domain.errors import shortened
from queuecast.domain.findings.bounds import list_names
from queuecast.domain.gate import Comparison
from queuecast.domain.holdout import Split
from queuecast.domain.model import Manifest
from worker.trainings.training_rows import TrainingRows


def compare(
    champion: Manifest,
    champion_estimator: Any,
    challenger_estimator: Any,
    target_names: tuple[str, ...],
    rows: TrainingRows,
    split: Split,
    moved_rows: int = 0,
) -> Comparison:
    """moved_rows: how many held-out rows the champion is known to have been fitted on."""
    metric = _metric(challenger_estimator)
    if metric is None:
        return Comparison(None, None, None, f"{type(challenger_estimator).__name__} has no score method")
    if not split.test:
        return Comparison(metric, None, None, "no row of the file is held out")
    features, target = rows.take_as_fitted(split.test), rows.target[split.test]
    challenger_score = _score(challenger_estimator, features, target)
    reason = _incomparable(champion, target_names, moved_rows, rows.lacking)
    if reason is not None:
        return Comparison(metric, None, challenger_score, reason)
    champion_score = _score(champion_estimator, features, target)
    if champion_score is not None and challenger_score is not None:
        return Comparison(metric, champion_score, challenger_score)
    reason = _label_mismatch(champion, rows.target) or "no finite score on the holdout rows"
    return Comparison(metric, champion_score, challenger_score, reason)


def _incomparable(
    champion: Manifest, target_names: tuple[str, ...], moved_rows: int, lacking: tuple[str, ...]
) -> str | None:
    """Why a score of the champion on the held-out rows would mean nothing."""
    if not _may_be_same_target(champion.target, target_names):
        known, found = list_names(champion.target), list_names(target_names)
        return f"the champion was fitted on the target {known}, this version on {found}"
    if champion.holdout is None:
        return f"the rows that version {champion.version} was fitted on are unknown, so its score means nothing"
    if lacking:
        return (
            f"the rows of version {champion.version} were split by the column {shortened(repr(lacking[0]))} too, which "
            "the file lacks, so its score means nothing. Train on a file that has the column"
        )
    if moved_rows:
        return (
            f"version {champion.version} was fitted on {moved_rows} or more of the held-out rows, which have rounded "
            "numbers in this file and so changed sides; its score means nothing. Train on a file with all digits"
        )
    return None


def _metric(estimator: Any) -> str | None:
    """The name of the metric of `estimator.score`. All of them are "higher is better" (scikit-learn's convention)."""
    if not hasattr(estimator, "score"):
        return None
    if hasattr(estimator, "scorer_"):  # a search has a scorer of its own
        return "score"
    return "accuracy" if is_classifier(estimator) else "r2" if is_regressor(estimator) else "score"


def _score(estimator: Any, features: Any, target: Any) -> float | None:
    try:
        score = float(estimator.score(features, target))
    except Exception:  # for example an unknown label or category; an estimator raises what it likes
        return None
    return score if math.isfinite(score) else None


def _may_be_same_target(known: tuple[str, ...], found: tuple[str, ...]) -> bool:
    """A `y` without a name was recorded as `target`, or as `target0`, `target1`, and so on; that may be any target."""
    is_nameless = known in ((), ("target",), tuple(f"target{index}" for index in range(len(known))))
    return is_nameless or known == found


def _label_mismatch(champion: Manifest, target: Any) -> str | None:
    """Names both sets of labels if those of the file are text and the champion's are not."""
    classes = champion.classes or []
    if not classes or isinstance(classes[0], (list, str)) or target.dtype != object:
        return None
    labels = sorted(set(target.ravel()))
    return f"the file has the labels {_enumerate(labels)} where the champion predicts {_enumerate(classes)}"


def _enumerate(labels: list[Any]) -> str:
    """`'a', 'b' and 'c'`, at most five of them."""
    shown = [shortened(repr(label)) for label in labels[:5]]
    last = f"{len(labels) - 5} more" if len(labels) > 5 else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
