"""The facts that a training keeps for its report, of real models from the push to the file of the version."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import queuecast
from examples.titanic.train import COLUMNS, TARGET, logistic, passengers
from queuecast.domain.reports import REPORT_FILE, TrainingFacts
from queuecast.domain.work import OnError, TrainingWork
from tests.worker.model_fixtures import MODEL, LocalService, with_target

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = passengers()
FEATURES, SURVIVED = ROWS[COLUMNS], ROWS[TARGET]
SPLIT = queuecast.holdout(FEATURES)
FITTED = logistic().fit(FEATURES.iloc[SPLIT.train], SURVIVED.iloc[SPLIT.train])


def _facts(service: LocalService, work: TrainingWork) -> TrainingFacts:
    version = service.result(service.trained(work))["version"]
    return msgspec.json.decode(service.models.file(MODEL, version, REPORT_FILE), type=TrainingFacts)


def _pushed(service: LocalService, estimator: Any, rows: Any, target: Any, name: str = "target") -> None:
    """Fits the estimator on the rows that are not held out, and pushes it."""
    split = queuecast.holdout(rows)
    taken = [rows[at] for at in split.train] if isinstance(rows, list) else rows[split.train]
    service.result(service.pushed(estimator.fit(taken, target[split.train]), taken, (name,), split.rule))


def test_a_training_keeps_the_facts_about_both_versions(service: LocalService) -> None:
    service.result(service.pushed(FITTED, FEATURES.iloc[SPLIT.train], (TARGET,), SPLIT.rule))

    facts = _facts(service, service.training_work(ROWS, (TARGET,), params={"model__C": 0.05}))

    (target,) = facts.targets
    champion, challenger = target.versions
    expected = roc_auc_score(SURVIVED.iloc[SPLIT.test], FITTED.predict_proba(FEATURES.iloc[SPLIT.test])[:, 1])
    assert (target.name, champion.role, challenger.role) == (TARGET, "champion", "challenger")
    assert champion.curves[0].roc.area == pytest.approx(expected)
    assert champion.curves[0].roc.area != challenger.curves[0].roc.area
    assert [each.label for each in target.rows] == ["0", "1"]
    assert sum(each.held_out for each in target.rows) == len(SPLIT.test)
    assert facts.importance is not None
    assert facts.importance.columns[0].column == "sex"
    assert {each.column for each in facts.importance.columns} == set(COLUMNS)
    assert facts.findings == ()


def test_a_champion_that_cannot_be_compared_has_no_facts(service: LocalService) -> None:
    service.result(service.pushed(FITTED, FEATURES.iloc[SPLIT.train], (TARGET,)))

    facts = _facts(service, service.training_work(ROWS, (TARGET,)))

    assert [each.role for each in facts.targets[0].versions] == ["challenger"]


def test_rows_that_were_left_out_are_findings(service: LocalService) -> None:
    service.result(service.pushed(FITTED, FEATURES.iloc[SPLIT.train], (TARGET,), SPLIT.rule))
    rows = ROWS.astype({"age": object})
    rows.loc[3, "age"] = "old"
    work = service.training_work(rows, (TARGET,))

    facts = _facts(service, replace(work, on_error=OnError.SKIP))

    assert [(each.severity, each.column) for each in facts.findings] == [("warning", None), ("info", "age")]
    assert facts.findings[0].detail == "1 bad row of the file left out"


def test_numbers_have_residuals_and_the_importance_of_an_array(service: LocalService) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 3))
    target = rows @ [0.0, 5.0, 1.0] + rng.normal(size=400)
    _pushed(service, LinearRegression(), rows, target)

    facts = _facts(service, service.training_work(with_target(rows, target)))

    assert [each.residuals is not None for each in facts.targets[0].versions] == [True, True]
    assert facts.importance is not None
    assert [each.column for each in facts.importance.columns] == ["x1", "x2", "x0"]


def test_a_sparse_matrix_has_importance(service: LocalService) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, size=(400, 4)).astype(float)
    target = (rows[:, 2] > 0).astype(int)
    _pushed(service, LogisticRegression(), csr_matrix(rows), target)

    facts = _facts(service, service.training_work(with_target(rows, target)))

    assert facts.importance is not None
    assert facts.importance.columns[0].column == "x2"


def test_texts_have_no_columns_that_could_matter(service: LocalService) -> None:
    texts = [f"{'good' if at % 2 else 'bad'} thing {at}" for at in range(400)]
    target = np.array(["yes" if at % 2 else "no" for at in range(400)], dtype=object)
    _pushed(service, make_pipeline(TfidfVectorizer(), LogisticRegression()), texts, target)

    facts = _facts(service, service.training_work(pd.DataFrame({"text": texts, "target": target})))

    assert facts.targets[0].versions[1].curves[0].roc.area == 1.0
    assert facts.importance is not None
    assert (facts.importance.columns, facts.importance.reason) == ((), "the rows of this model have no columns")


def test_facts_that_cannot_be_computed_do_not_fail_the_training(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.result(service.pushed(FITTED, FEATURES.iloc[SPLIT.train], (TARGET,), SPLIT.rule))

    def broken(*_: object) -> None:
        raise ValueError("an answer of another kind")

    monkeypatch.setattr("worker.reports.training_facts.target_facts", broken)

    facts = _facts(service, service.training_work(ROWS, (TARGET,)))

    assert facts.targets == ()
    assert facts.importance is not None
    assert [each.code for each in facts.findings] == ["facts_failed"]
    assert "ValueError: an answer of another kind" in facts.findings[0].detail
