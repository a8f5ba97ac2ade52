"""A search: its candidates, its folds, its bounds, and the version that comes out of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from queuecast.domain.errors import JobStoppedError, RunFailedError
from queuecast.domain.job import JobType, ModelRef, Progress
from queuecast.domain.trainings.searching import Search, SearchKind
from queuecast.domain.work import TrainingWork
from tests.worker.model_fixtures import LocalService, with_target
from worker.trainings.challengers.candidates import draw_candidates
from worker.trainings.challengers.param_search import searched_params
from worker.trainings.challengers.search import SearchRows, Tries, find_params
from worker.trainings.fitting import prepared_challenger

pytestmark = pytest.mark.filterwarnings("ignore")

N = 300
X = np.random.default_rng(0).normal(size=(N, 3))
Y = np.where(X[:, 0] + 0.5 * np.random.default_rng(1).normal(size=N) > 0, "yes", "no").astype(object)
ROWS = SearchRows(X, Y)
NEIGHBORS = Search({"n_neighbors": [1, 5, 25]}, n_candidates=3, cv=3)


def _tries(estimator: Any = None, metric: str = "accuracy", **options: Any) -> Tries:
    champion = KNeighborsClassifier() if estimator is None else estimator
    options = {"report": lambda done, total: None, "seed": 0} | options
    return Tries(lambda params: prepared_challenger(champion, params), metric, **options)


# Candidates


def test_the_parameters_as_they_are_come_first_and_the_same_file_has_the_same_candidates() -> None:
    search = Search({"C": {"low": 0.01, "high": 100, "log": True}, "fit_intercept": [True, False]}, n_candidates=50)

    drawn = draw_candidates(search, 3)

    assert (drawn[0], len(drawn), drawn) == ({}, 51, draw_candidates(search, 3))
    assert drawn != draw_candidates(search, 4)
    assert {type(each["C"]) for each in drawn[1:]} == {float}
    assert 0.01 <= min(each["C"] for each in drawn[1:]) < 0.1 < 10 < max(each["C"] for each in drawn[1:]) <= 100


@pytest.mark.parametrize("is_log", [False, True])
def test_a_range_of_whole_numbers_has_both_of_its_ends(is_log: bool) -> None:
    search = Search({"n": {"low": 1, "high": 4, "int": True, "log": is_log}}, n_candidates=200)

    found = [each["n"] for each in draw_candidates(search, 0)[1:]]

    assert set(found) == {1, 2, 3, 4}
    assert {type(number) for number in found} == {int}
    assert (found.count(1) > found.count(4) * 1.5) is is_log


def test_lists_with_few_combinations_give_each_of_them_once() -> None:
    drawn = draw_candidates(Search({"a": [1, 2], "b": ["x", "y"]}, n_candidates=20), 0)

    assert sorted((each["a"], each["b"]) for each in drawn[1:]) == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


# The search


def test_the_best_candidate_is_that_of_a_cross_validation() -> None:
    params, summary = find_params(NEIGHBORS, ROWS, _tries(), 60)

    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    means = {n: cross_val_score(KNeighborsClassifier(n), X, Y, cv=folds).mean() for n in (5, 1, 25)}
    best = max(means, key=lambda n: means[n])
    assert params == {"n_neighbors": best}
    assert summary.best_score == pytest.approx(means[best])
    assert (summary.candidates, summary.planned, summary.failed, summary.cv) == (4, 4, 0, 3)


def test_halving_gives_a_third_of_the_candidates_three_times_the_rows() -> None:
    seen: list[int] = []

    class Counting(KNeighborsClassifier):  # type: ignore[misc]
        def fit(self, features: Any, target: Any) -> Any:
            seen.append(len(features))
            return super().fit(features, target)

    search = replace(NEIGHBORS, param_distributions={"n_neighbors": list(range(1, 9))}, n_candidates=8)
    params, summary = find_params(replace(search, kind=SearchKind.HALVING), ROWS, _tries(Counting()), 60)

    rounds = [seen[at] * 3 // 2 for at in (0, 9 * 3, 12 * 3)]
    assert (len(seen), summary.planned, summary.candidates) == ((9 + 3 + 1) * 3, 13, 13)
    assert rounds == pytest.approx([33, 100, 300], abs=2)
    assert set(params) <= {"n_neighbors"}


def _clock(step_s: float) -> Callable[[], float]:
    now = [0.0]

    def clock() -> float:
        now[0] += step_s
        return now[0]

    return clock


@pytest.mark.parametrize("kind", SearchKind)
@pytest.mark.parametrize(("max_s", "candidates"), [(0.5, 1), (1.5, 2), (1000, None)])
def test_no_candidate_starts_after_the_time_and_the_best_so_far_is_kept(
    kind: SearchKind, max_s: float, candidates: int | None
) -> None:
    _, summary = find_params(replace(NEIGHBORS, kind=kind), ROWS, _tries(clock=_clock(1)), max_s)

    assert summary.candidates == (summary.planned if candidates is None else candidates)


def test_each_candidate_is_reported_and_a_report_can_stop_the_search() -> None:
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        find_params(NEIGHBORS, ROWS, _tries(report=report), 60)

    assert seen == [(0, 4), (1, 4), (2, 4)]


def test_a_candidate_that_cannot_be_fitted_is_counted_and_passed_over() -> None:
    search = replace(NEIGHBORS, param_distributions={"n_neighbors": [-1, 10_000, 5]})

    params, summary = find_params(search, ROWS, _tries(KNeighborsClassifier(1)), 60)

    assert (params, summary.failed) == ({"n_neighbors": 5}, 2)


def test_a_search_without_a_score_fails_with_the_first_problem() -> None:
    with pytest.raises(RunFailedError, match=r"no candidate of the search could be scored: .* must be a str among"):
        find_params(NEIGHBORS, ROWS, _tries(metric="no_metric"), 60)


def test_values_become_what_the_estimator_takes() -> None:
    search = Search({"metric_params": [None], "n_neighbors": [3], "weights": ["distance"]}, n_candidates=1, cv=3)

    _, summary = find_params(search, ROWS, _tries(), 60)

    assert summary.failed == 0


@pytest.mark.parametrize(("n_rare", "folds"), [(2, 2), (3, 3), (40, 5)])
def test_a_rare_class_is_in_each_fold(n_rare: int, folds: int) -> None:
    labels = np.array(["rare"] * n_rare + ["often"] * (N - n_rare), dtype=object)
    search = Search({"C": [1.0]}, n_candidates=1)

    for kind in SearchKind:
        _, summary = find_params(
            replace(search, kind=kind), SearchRows(X, labels), _tries(LogisticRegression(), "neg_log_loss"), 60
        )
        assert (summary.cv, summary.failed) == (folds, 0)


def test_weights_are_those_of_the_fit() -> None:
    weights = np.where(Y == "yes", 1.0, 0.0)
    rows = SearchRows(X, Y, arguments={"sample_weight": weights})

    _, summary = find_params(Search({"var_smoothing": [1e-9]}), rows, _tries(GaussianNB(), "recall_macro"), 60)

    assert summary.best_score == 0.5  # each row is answered "yes"


def test_no_fold_splits_a_group() -> None:
    groups = np.repeat(np.arange(30), 10)
    copies = np.random.default_rng(2).normal(size=(30, 3))[groups]  # the rows of a group are alike

    search = Search({"n_neighbors": [1]}, n_candidates=1)
    labels = np.random.default_rng(3).choice(["a", "b"], 30)[groups]
    _, split = find_params(search, SearchRows(copies, labels), _tries(KNeighborsClassifier(1)), 60)
    _, whole = find_params(search, SearchRows(copies, labels, groups), _tries(KNeighborsClassifier(1)), 60)

    assert split.best_score == 1.0
    assert whole.best_score < 0.9


@pytest.mark.parametrize(
    ("estimator", "target", "metric"),
    [
        (Ridge(), X[:, 0] * 2, "r2"),
        (Ridge(), X[:, :2], "r2"),
        (KNeighborsClassifier(), np.column_stack([Y == "yes", Y == "no"]).astype(int), "accuracy"),
        (KMeans(n_init=1), None, ""),
    ],
    ids=["numbers", "several numbers", "several labels", "none"],
)
def test_targets_of_every_kind_are_searched(estimator: Any, target: Any, metric: str) -> None:
    name = {"Ridge": "alpha", "KMeans": "n_clusters"}.get(type(estimator).__name__, "n_neighbors")

    _, summary = find_params(Search({name: [1, 7]}), SearchRows(X, target), _tries(estimator, metric), 60)

    assert (summary.candidates, summary.failed) == (3, 0)


# In a training


def _service(service: LocalService, estimator: Any) -> Any:
    split = queuecast.holdout(X)
    fitted = clone(estimator).fit(X[split.train], Y[split.train])
    service.result(service.pushed(fitted, X[split.train], holdout=split.rule))
    return split


def _searching(service: LocalService, search: Search, **options: Any) -> TrainingWork:
    return replace(service.training_work(with_target(X, Y), **options), search=search)


def test_the_version_is_a_refit_with_the_parameters_that_were_found(service: LocalService) -> None:
    split = _service(service, make_pipeline(StandardScaler(), KMeans(2, random_state=0, n_init=1)))
    search = Search({"kmeans__n_clusters": {"low": 30, "high": 40, "int": True}}, n_candidates=2, cv=3)

    service.result(service.trained(_searching(service, search, params={"kmeans__max_iter": 50})))

    manifest, found = service.manifest(2), service.estimators.load(service.manifest(2))
    assert manifest.lineage is not None
    assert manifest.lineage.search is not None
    params = manifest.lineage.params
    assert (params["kmeans__max_iter"], 30 <= params["kmeans__n_clusters"] <= 40) == (50, True)
    assert (manifest.lineage.search.candidates, manifest.lineage.search.planned) == (3, 3)
    assert type(found) is type(service.estimators.load(service.manifest(1)))
    assert found[-1].n_clusters == params["kmeans__n_clusters"]
    assert manifest.lineage.train_rows == len(split.train)


def test_progress_counts_the_candidates(service: LocalService) -> None:
    _service(service, KMeans(2, random_state=0, n_init=1))
    seen: list[Progress] = []
    work = _searching(service, Search({"n_clusters": [3, 4]}, n_candidates=2, cv=3))
    job = service.started(JobType.TRAINING, ModelRef("model", 1), work)

    service.training.run(job, work, seen.append)

    n_rows = next(each.rows for each in seen if each.stage == "fit")
    assert [each for each in seen if each.unit == "candidates"] == [
        Progress(done, 3, "candidates", "search", n_rows) for done in range(3)
    ]


def test_a_search_that_is_canceled_publishes_nothing(service: LocalService) -> None:
    _service(service, KMeans(2, random_state=0, n_init=1))
    work = _searching(service, Search({"n_clusters": [3, 4]}, n_candidates=2, cv=3))
    job = service.started(JobType.TRAINING, ModelRef("model", 1), work)

    def report(progress: Progress) -> None:
        if progress.unit == "candidates" and progress.done == 1:
            raise JobStoppedError("canceled")

    with pytest.raises(JobStoppedError):
        service.training.run(job, work, report)

    assert service.models.versions("model") == [1]


def test_the_metric_of_the_gate_chooses_unless_the_search_names_one(service: LocalService) -> None:
    champion = LogisticRegression().fit(X, Y)
    rows = _Rows(X, Y)

    found = []
    for metric in ("", "f1_macro"):
        work = TrainingWork("file", "ab" * 32, ("target",), search=Search({"C": [1.0]}, metric=metric, cv=2))
        _, summary = searched_params(
            work, champion, lambda params: prepared_challenger(champion, params), rows, list(range(N)), 60, print
        )
        found.append(summary and summary.metric)

    assert found == ["neg_log_loss", "f1_macro"]


class _Rows:
    def __init__(self, features: Any, target: Any) -> None:
        self.features, self.target = features, target
        self.weights = self.groups = None

    def take_as_fitted(self, positions: list[int]) -> Any:
        return self.features[positions]
