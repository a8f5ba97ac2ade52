"""A version answers its golden rows in a worker before any job gets an answer of it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.job import State
from queuecast.domain.work import Method
from queuecast.skops_files import skops_bytes
from tests.worker.model_fixtures import MODEL, LocalService, with_target
from worker.models.golden_rows import Golden
from worker.models.loading import EstimatorCache

pytestmark = pytest.mark.filterwarnings("ignore")

_random = np.random.default_rng(5)
X = _random.normal(size=(300, 3))
Y = (X[:, 0] > 0).astype(int)
SERVED: dict[str, tuple[Any, Any]] = {
    "array": (LogisticRegression().fit(X, Y), X),
    "frame": (
        make_pipeline(StandardScaler(), LogisticRegression()).fit(pd.DataFrame(X, columns=["a", "b", "c"]), Y),
        pd.DataFrame(X, columns=["a", "b", "c"]),
    ),
    "several targets": (MultiOutputClassifier(LogisticRegression()).fit(X, np.stack([Y, 1 - Y], axis=1)), X),
    "texts": (
        make_pipeline(CountVectorizer(), LogisticRegression()).fit(["good day", "bad luck"] * 20, [0, 1] * 20),
        ["good luck"] * 9,
    ),
    "dicts": (make_pipeline(DictVectorizer(), LogisticRegression()).fit([{"a": 1.0}, {"b": 2}], [0, 1]), [{"a": 1.0}]),
    "numbers": (LinearRegression().fit(X, X.sum(axis=1) * 1e9), X),
}


def changed_golden(service: LocalService, change: Callable[[dict[str, Any]], object], version: int = 1) -> None:
    """Changes the golden rows on the disk, as if the model had answered otherwise when it was made."""
    path = service.model_folder / MODEL / str(version) / "golden.json"
    golden = json.loads(path.read_bytes())
    change(golden)
    path.write_text(json.dumps(golden))


@pytest.mark.parametrize("name", SERVED)
def test_a_version_answers_its_golden_rows(service: LocalService, name: str) -> None:
    estimator, rows = SERVED[name]
    assert service.pushed(estimator, rows).state is State.SUCCEEDED

    assert EstimatorCache(service.models).load(service.manifest(1)) is not None


def test_a_retrained_version_answers_its_golden_rows(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    service.trained(service.training_work(with_target(X, Y)))

    assert EstimatorCache(service.models).load(service.manifest(2)) is not None


def test_a_version_that_answers_otherwise_serves_no_job(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    changed_golden(service, lambda golden: golden["outputs"]["predict_proba"][0].reverse())

    job = service.predicted(X[:2], Method.PREDICT)

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.code == "golden_mismatch"
    assert "model model version 1: predict_proba answers a golden row with [" in job.failure.detail


def test_the_refusal_has_both_answers(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    changed_golden(service, lambda golden: golden["outputs"].update(predict=[7] * len(golden["rows"])))

    with pytest.raises(ModelRefusedError) as refused:
        service.estimators.load(service.manifest(1))

    (finding,) = refused.value.findings
    assert (finding.code, finding.found, finding.expected) == ("golden_mismatch", str(Y[0]), "7")


def test_an_estimator_that_raises_on_a_golden_row_is_refused(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    changed_golden(service, lambda golden: [row.append(1.0) for row in golden["rows"]])

    with pytest.raises(ModelRefusedError, match="Error"):
        service.estimators.load(service.manifest(1))


def test_damaged_golden_rows_are_refused(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    (service.model_folder / MODEL / "1" / "golden.json").write_text("{")

    with pytest.raises(ModelRefusedError, match=r"golden\.json cannot be read"):
        service.estimators.load(service.manifest(1))


@pytest.mark.parametrize(("difference", "is_served"), [(1e-7, True), (1e-3, False)])
def test_another_machine_may_round_differently(service: LocalService, difference: float, is_served: bool) -> None:
    service.pushed(LinearRegression().fit(X, X.sum(axis=1)), X)
    changed_golden(
        service,
        lambda golden: golden["outputs"].update(predict=[y * (1 + difference) for y in golden["outputs"]["predict"]]),
    )

    assert (service.predicted(X[:2], Method.PREDICT).state is State.SUCCEEDED) == is_served


def test_a_version_without_golden_rows_is_served(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    (service.model_folder / MODEL / "1" / "golden.json").unlink()

    assert service.predicted(X[:2], Method.PREDICT).state is State.SUCCEEDED


def test_golden_rows_are_read_once_in_a_process(service: LocalService) -> None:
    service.pushed(LogisticRegression().fit(X, Y), X)
    loaded = service.estimators.load(service.manifest(1))
    changed_golden(service, lambda golden: golden["outputs"].update(predict=[7] * len(golden["rows"])))

    assert service.estimators.load(service.manifest(1)) is loaded


def test_versions_with_the_same_bytes_are_checked_each_by_its_own_golden_rows(service: LocalService) -> None:
    data = skops_bytes(LogisticRegression().fit(X, Y))
    for _ in range(2):
        service.pushed(data, X)
    first, second = service.manifest(1), service.manifest(2)
    changed_golden(service, lambda golden: golden["outputs"].update(predict=[7] * len(golden["rows"])), version=2)

    loaded = service.estimators.load(first)
    assert first.sha256 == second.sha256
    with pytest.raises(ModelRefusedError):
        service.estimators.load(second)
    assert service.estimators.load(first) is loaded


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (1, 1), (20, 20), (21, 11), (200, 20)])
def test_at_most_twenty_golden_rows_are_asked_for(count: int, kept: int) -> None:
    golden = Golden(list(range(count)), {"predict": list(range(count))}).some(20)

    assert (len(golden.rows), golden.outputs["predict"]) == (kept, golden.rows)
