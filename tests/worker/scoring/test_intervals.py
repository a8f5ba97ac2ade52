"""Scores and their intervals, against scikit-learn and scipy on the same rows."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from worker.scoring.answers import answers_of
from worker.scoring.intervals import point, scores_of
from worker.scoring.labelled_rows import LabelledRows, with_coded_labels
from worker.scoring.row_scores import row_scores

WORDS = np.array(["blue", "green", "red"])


def _classified(n_classes: int = 2, *, words: bool = False, n_rows: int = 900) -> tuple[LabelledRows, Any, Any]:
    """Rows with the answers of two classifiers, the estimators, and the features."""
    features, target = make_classification(n_rows, 8, n_informative=5, n_classes=n_classes, flip_y=0.2, random_state=0)
    labels = WORDS[target].astype(object) if words else target
    fitted = [
        LogisticRegression().fit(features[:300], labels[:300]),
        KNeighborsClassifier(30).fit(features[:300], labels[:300]),
    ]
    rest = features[300:]
    versions = dict(zip(("champion", "challenger"), (answers_of(each, rest, None) for each in fitted), strict=True))
    return LabelledRows(labels[300:], versions), fitted, rest


BINARY = ("accuracy", "balanced_accuracy", "f1", "neg_log_loss", "neg_brier_score", "roc_auc", "average_precision")
MANY = ("accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "matthews_corrcoef")


@pytest.mark.parametrize("words", [False, True], ids=["numbers", "words"])
@pytest.mark.parametrize(("n_classes", "metric"), [*((2, name) for name in BINARY), *((3, name) for name in MANY)])
def test_a_score_is_that_of_scikit_learns_scorer(n_classes: int, metric: str, words: bool) -> None:
    rows, fitted, rest = _classified(n_classes, words=words)
    plain, codes, _ = _classified(n_classes)

    found = scores_of(metric, with_coded_labels(rows))

    for name, estimator in zip(("champion", "challenger"), codes, strict=True):
        assert found[name].value == pytest.approx(get_scorer(metric)(estimator, rest, plain.target), rel=1e-9)
    assert found["difference"].value == pytest.approx(found["challenger"].value - found["champion"].value)
    assert fitted[0].classes_.tolist() == (WORDS[:n_classes].tolist() if words else list(range(n_classes)))


@pytest.mark.parametrize("metric", ["r2", "neg_mean_absolute_error", "neg_mean_squared_error", "explained_variance"])
def test_a_score_of_numbers_is_that_of_scikit_learns_scorer(metric: str) -> None:
    features, target = make_regression(600, 5, n_targets=2, noise=30, random_state=0)
    fitted = [LinearRegression().fit(features, target), KNeighborsRegressor().fit(features, target)]
    rows = LabelledRows(target, {str(at): answers_of(each, features, None) for at, each in enumerate(fitted)})

    found = scores_of(metric, rows)

    for at, each in enumerate(fitted):
        assert found[str(at)].value == pytest.approx(get_scorer(metric)(each, features, target), rel=1e-9)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc"])
def test_an_interval_of_a_difference_is_near_that_of_scipys_paired_bootstrap(metric: str) -> None:
    rows, fitted, rest = _classified(n_rows=700)
    scorer = get_scorer(metric)

    def difference(positions: Any) -> float:
        first, second = (scorer(each, rest[positions], rows.target[positions]) for each in fitted)
        return float(second - first)

    expected = stats.bootstrap(
        (np.arange(rows.n_rows),),
        difference,
        vectorized=False,
        n_resamples=200,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = scores_of(metric, rows)["difference"]

    width = expected.high - expected.low
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.25 * width)


def test_an_interval_of_a_mean_is_near_that_of_the_normal_distribution_also_of_many_rows() -> None:
    draw = np.random.default_rng(0)
    target = draw.normal(size=40_000)
    versions = {str(at): target + draw.normal(scale=1 + at, size=len(target)) for at in range(2)}

    class Known(LinearRegression):  # answers what it was given
        def __init__(self, answers: Any = None) -> None:
            super().__init__()
            self.answers = answers

        def predict(self, features: Any) -> Any:
            return self.answers

    rows = LabelledRows(target, {name: answers_of(Known(each), target, None) for name, each in versions.items()})
    found = scores_of("neg_mean_absolute_error", rows)["difference"]

    errors = np.abs(versions["0"] - target) - np.abs(versions["1"] - target)
    half = 1.96 * errors.std(ddof=1) / len(target) ** 0.5
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    assert found.low < errors.mean() < found.high


def test_a_paired_interval_is_narrower_than_that_of_each_score() -> None:
    features, target = make_classification(600, 8, random_state=0)
    fitted = [LogisticRegression(C=c).fit(features[:200], target[:200]) for c in (1.0, 0.9)]
    versions = {str(at): answers_of(each, features[200:], None) for at, each in enumerate(fitted)}

    found = scores_of("neg_log_loss", LabelledRows(target[200:], versions))

    assert found["difference"].standard_error < 0.1 * found["0"].standard_error


def test_a_version_without_the_method_of_a_metric_has_no_score() -> None:
    features, target = make_classification(200, random_state=0)
    fitted = {"champion": LogisticRegression(), "challenger": RidgeClassifier()}
    rows = LabelledRows(
        target, {name: answers_of(each.fit(features, target), features, None) for name, each in fitted.items()}
    )

    assert set(scores_of("neg_log_loss", rows)) == {"champion"}
    assert set(scores_of("roc_auc", rows)) == {"champion", "challenger", "difference"}


def test_a_label_that_a_version_does_not_know_costs_it_a_log_loss_and_does_not_raise() -> None:
    features, target = make_classification(200, random_state=0)
    fitted = LogisticRegression().fit(features, target)
    new = np.where(np.arange(200) < 5, 7, target)

    found = row_scores("neg_log_loss", new, answers_of(fitted, features, None))

    assert found is not None
    assert found[:5].tolist() == [np.log(np.finfo(float).eps)] * 5


def test_the_log_loss_of_several_targets_is_their_mean() -> None:
    features, first = make_classification(300, random_state=0)
    target = np.column_stack([first, (features[:, 0] > 0).astype(int)])
    fitted = MultiOutputClassifier(LogisticRegression()).fit(features, target)
    rows = LabelledRows(target, {"challenger": answers_of(fitted, features, None)})

    each = [get_scorer("neg_log_loss")(part, features, target[:, at]) for at, part in enumerate(fitted.estimators_)]
    assert point("neg_log_loss", rows, "challenger") == pytest.approx(np.mean(each))
    assert point("accuracy", rows, "challenger") == pytest.approx(fitted.score(features, target))


def test_an_estimator_that_raises_has_no_answers() -> None:
    features, target = make_regression(50, 3, random_state=0)

    answers = answers_of(Ridge().fit(features, target), features[:, :2], None)

    assert answers.outputs == {}
