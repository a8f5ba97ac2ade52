"""A training tells what is wrong with its data: in its result, with the version, and before the fit."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from queuecast.domain.findings.data_findings import DataFinding
from queuecast.domain.holdout import holdout
from tests.worker.model_fixtures import MODEL, LocalService
from worker.labelled.training_rows import TrainingRows
from worker.trainings.checking import check_training_rows

N = 1500
RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame({"age": RANDOM.normal(40, 10, N), "fare": RANDOM.exponential(30, N), "note": np.zeros(N)})
LABELS = np.where(ROWS["age"] + RANDOM.normal(0, 10, N) > 40, "yes", "no").astype(object)
AMOUNTS = (ROWS["age"] + RANDOM.normal(0, 10, N)).to_numpy()


def _found(service: LocalService, estimator: Any, target: Any, rows: pd.DataFrame, answers: Any) -> list[DataFinding]:
    """Those of a training on `rows` and `answers`, of a version that was fitted on ROWS and `target`."""
    split = queuecast.holdout(ROWS)
    fitted = clone(estimator).fit(ROWS.iloc[split.train], target[split.train])
    service.result(service.pushed(fitted, ROWS.iloc[split.train], holdout=split.rule))
    of_file = TrainingRows(rows, answers)
    findings, _ = check_training_rows(service.models, service.manifest(1), fitted, of_file, holdout(rows), ["target"])
    return findings


def _codes(findings: list[DataFinding]) -> list[tuple[str, str, str | None]]:
    return [(finding.code, finding.severity, finding.column) for finding in findings]


CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression())


def test_a_file_like_that_of_the_champion_has_a_constant_column_only(service: LocalService) -> None:
    findings = _found(service, CLASSIFIER, LABELS, ROWS, LABELS)

    assert _codes(findings) == [("constant_column", "info", "note")]


def test_a_column_with_the_label_in_it_leaks(service: LocalService) -> None:
    findings = _found(service, CLASSIFIER, LABELS, ROWS.assign(note=(LABELS == "yes") * 1.0), LABELS)

    assert ("leaking_column", "error", "note") in _codes(findings)
    assert "the champion, which has the column, 0." in next(each.detail for each in findings if each.code[:4] == "leak")


def test_a_target_that_follows_from_a_column_that_the_champion_uses_is_easy(service: LocalService) -> None:
    labels = np.where(ROWS["age"] > 40, "yes", "no").astype(object)

    findings = _found(service, LogisticRegression(C=1e6, max_iter=10_000), labels, ROWS, labels)

    assert ("target_from_column", "info", "age") in _codes(findings)


def test_labels_and_columns_that_changed_are_named(service: LocalService) -> None:
    rows = ROWS.assign(age=ROWS["age"] + 30, fare=ROWS["fare"].where(RANDOM.random(N) > 0.5))

    findings = _found(service, CLASSIFIER, LABELS, rows, np.where(LABELS == "yes", "maybe", "no").astype(object))

    assert _codes(findings) == [
        ("lost_classes", "error", "target"),
        ("new_classes", "warning", "target"),
        ("constant_column", "info", "note"),
        ("null_rate", "warning", "fare"),
        ("drifted_column", "warning", "age"),
    ]


def test_numbers_are_checked_without_classes(service: LocalService) -> None:
    rows = ROWS.assign(note=AMOUNTS * 2)

    findings = _found(service, make_pipeline(StandardScaler(), LinearRegression()), AMOUNTS, rows, AMOUNTS)

    assert _codes(findings) == [("drifted_column", "warning", "note"), ("leaking_column", "error", "note")]


def test_rows_without_a_target_are_checked_by_their_columns(service: LocalService) -> None:
    findings = _found(service, KMeans(3, random_state=0), AMOUNTS, ROWS.assign(age=ROWS["age"] + 30), None)

    assert _codes(findings) == [("constant_column", "info", "note"), ("drifted_column", "warning", "age")]


def test_repeated_rows_are_compared_with_those_of_the_champion(service: LocalService) -> None:
    twice, labels = pd.concat([ROWS, ROWS], ignore_index=True), np.concatenate([LABELS, LABELS])

    findings = _found(service, CLASSIFIER, LABELS, twice, labels)

    assert ("duplicate_rows", "warning", None) in _codes(findings)


@pytest.mark.filterwarnings("ignore")
def test_the_findings_are_in_the_result_the_evaluation_and_the_lineage(service: LocalService) -> None:
    _found(service, KMeans(3, random_state=0), AMOUNTS, ROWS, AMOUNTS)

    result = service.result(service.trained(service.training_work(ROWS.assign(note=AMOUNTS, target=AMOUNTS))))

    assert [(each["code"], each["column"]) for each in result["findings"]][:1] == [("leaking_column", "note")]
    evaluation = msgspec.json.decode(service.models.file(MODEL, 2, "evaluation.json"))
    assert evaluation["findings"] == {"first": result["findings"], "total": result["findings_total"]}
    lineage = service.manifest(2).lineage
    assert lineage is not None
    assert lineage.findings == result["findings_total"]
