"""Scores versions on rows without a target: how likely the rows are to a version, or how near to its clusters."""

from contextlib import suppress
from time import perf_counter
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.base import is_clusterer, is_outlier_detector
from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
from sklearn.metrics.cluster import contingency_matrix
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from worker.models.updating import last_step
from worker.scoring.answers import Answers
from worker.scoring.row_scores import LIKELIHOOD, NEARNESS


def unlabelled_answers(estimator: Any, features: Any) -> Answers:
    """outputs: `predict`, and the score of each row by the metric of the estimator, each if it has one."""
    outputs = {}
    started = perf_counter()
    with suppress(Exception):  # an estimator raises what it likes
        outputs["predict"] = np.asarray(estimator.predict(features))
    with suppress(Exception):
        metric = metric_of(estimator)
        if metric == NEARNESS:
            outputs[metric] = -(np.asarray(estimator.transform(features)).min(axis=1) ** 2)
        elif metric == LIKELIHOOD:
            outputs[metric] = np.asarray(estimator.score_samples(features))
    return Answers(outputs, None, is_classifier=False, is_regressor=False, batch_s=perf_counter() - started)


def metric_of(estimator: Any) -> str:
    """LIKELIHOOD of a density, NEARNESS of clusters with centers; empty for others: the `score_samples` of an outlier
    detector has a scale of its own."""
    if isinstance(last_step(estimator), KMeans | MiniBatchKMeans | BisectingKMeans):
        return NEARNESS
    is_density = hasattr(estimator, "score") and hasattr(estimator, "score_samples")
    return LIKELIHOOD if is_density and not is_outlier_detector(estimator) else ""


def reason_against_scores(champion: Any, challenger: Any) -> str:
    """Why scores of two versions could not be compared; empty if they can be."""
    name = type(last_step(challenger)).__name__
    if not metric_of(challenger):
        return f"{name} has no score of rows without a target"
    learned = _first_learned(challenger)
    if learned is not None:
        return (
            f"{type(learned).__name__} learned from other rows in each version and sets the unit of the score of "
            f"{name}, so scores of two versions cannot be compared"
        )
    before, after = _n_clusters(champion), _n_clusters(challenger)
    if before != after:
        return f"the challenger has {after} clusters and the champion {before}: more clusters are nearer to any row"
    return ""


def share_alike(champion: Answers, challenger: Answers, estimator: Any) -> float | None:
    """The share of rows with the same answer; None without answers. The numbers of clusters are arbitrary, so each
    cluster counts as the one with which it has the most rows in common (the assignment problem, Kuhn 1955)."""
    first, second = champion.predictions, challenger.predictions
    if first is None or second is None or np.shape(first) != np.shape(second) or not len(first):
        return None
    if not is_clusterer(estimator):
        same = np.asarray(first == second)
        return float(same.mean()) if same.ndim == 1 else float(same.all(axis=1).mean())
    counts = contingency_matrix(first, second)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / len(first))


def _first_learned(estimator: Any) -> Any:
    """The first step before the last that learns from the rows; None if there is none."""
    if not isinstance(estimator, Pipeline):
        return None
    before = [step for _, step in estimator.steps[:-1] if step is not None and not isinstance(step, str)]
    return next((step for step in before if get_tags(step).requires_fit), _first_learned(estimator.steps[-1][1]))


def _n_clusters(estimator: Any) -> int | None:
    centers = getattr(last_step(estimator), "cluster_centers_", None)
    return None if centers is None else len(centers)
