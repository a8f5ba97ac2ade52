"""The search of a training: the metric, the time and the progress of it, and the parameters that it finds."""

from collections.abc import Callable
from typing import Any

import numpy as np

from queuecast.domain.job import Progress
from queuecast.domain.trainings.searching import SearchSummary
from queuecast.domain.work import TrainingWork
from worker.engine.contracts import Report
from worker.labelled.training_rows import TrainingRows, taken
from worker.scoring.answers import answers_of
from worker.scoring.metrics import chosen_metrics
from worker.trainings.challengers.search import SearchRows, Tries, find_params
from worker.trainings.fit_arguments import fit_arguments

Prepare = Callable[[dict[str, Any]], Any]


def searched_params(
    work: TrainingWork,
    champion: Any,
    prepare: Prepare,
    rows: TrainingRows,
    train: list[int],
    default_s: float,
    report: Report,
) -> tuple[dict[str, Any], SearchSummary | None]:
    """The parameters of the request with those that the search found, and a summary; None without a search.

    champion: its estimator. prepare: an unfitted clone of it with parameters. default_s: the seconds of a search that
    names none. Raises RunFailedError if no candidate can be scored.
    """
    search = work.search
    if search is None:
        return work.params, None
    target = taken(rows.target, train)
    tries = Tries(
        lambda candidate: prepare(work.params | candidate),
        search.metric or _deciding_metric(work, champion, rows, train, target),
        lambda done, total: report(Progress(done, total, "candidates", "search", len(train))),
        int(work.file_sha256[:8], 16),
    )
    groups = taken(rows.groups, train)
    arguments = fit_arguments(champion, taken(rows.weights, train), groups)
    found = SearchRows(rows.take_as_fitted(train), target, groups, arguments)
    params, summary = find_params(search, found, tries, search.max_s or default_s)
    return work.params | params, summary


def _deciding_metric(work: TrainingWork, champion: Any, rows: TrainingRows, train: list[int], target: Any) -> str:
    """The gate's; empty, for the estimator's own, without a target.

    The accuracy if a class has one row, which cannot be on both sides of a fold.
    """
    if target is None:
        return work.gate.metric
    answers = answers_of(champion, rows.take_as_fitted(train[:20]), None)
    if answers.is_classifier and np.unique(target.astype(str), return_counts=True)[1].min() < 2:
        return "accuracy"
    return chosen_metrics(work.gate, champion, answers, target).deciding
