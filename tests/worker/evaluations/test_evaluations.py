"""Evaluations: versions on a labelled file, their scores and differences, and what a person must know about both."""

import json
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import confusion_matrix, get_scorer

import queuecast
from examples.titanic.train import COLUMNS, TARGET, logistic, passengers
from queuecast.domain.job import Job, JobType, ModelRef, State
from queuecast.domain.reports import EvaluationFacts
from queuecast.domain.work import AcceptedFile, EvaluatedVersion, EvaluationWork, OnError
from tests.worker.model_fixtures import MODEL, LocalService, with_target

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = passengers()
FEATURES, SURVIVED = ROWS[COLUMNS], ROWS[TARGET]
SPLIT = queuecast.holdout(FEATURES)
TRAIN = FEATURES.iloc[SPLIT.train]
HELD_OUT = ROWS.iloc[SPLIT.test].reset_index(drop=True)
GOOD = logistic().fit(TRAIN, SURVIVED.iloc[SPLIT.train])
POOR = logistic().set_params(model__C=1e-6).fit(TRAIN, SURVIVED.iloc[SPLIT.train])


@pytest.fixture
def two_versions(service: LocalService) -> LocalService:
    """Version 1 is poor and the champion; version 2 is good."""
    service.result(service.pushed(POOR, TRAIN, (TARGET,), SPLIT.rule))
    service.result(service.pushed(GOOD, TRAIN, (TARGET,), SPLIT.rule))
    return service


def _ran(service: LocalService, rows: Any, *versions: int, target: str = TARGET, **options: Any) -> Job:
    stored = service.stored(rows if isinstance(rows, bytes) else rows.to_csv(index=False).encode())
    work = EvaluationWork(
        (AcceptedFile(stored.id, stored.sha256),), (target,), tuple(map(EvaluatedVersion, versions)), **options
    )
    return service.ran(JobType.EVALUATION, ModelRef(MODEL, versions[0]), work)


def _scored(service: LocalService, rows: Any, *versions: int, **options: Any) -> dict[str, Any]:
    return service.result(_ran(service, rows, *versions, **options))


def _score(result: dict[str, Any], at: int, metric: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in result["versions"][at]["scores"] if each["metric"] == metric)
    return found


def _codes(result: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in result["findings"]]


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "neg_log_loss", "balanced_accuracy"])
def test_a_score_is_that_of_the_scorer_on_the_same_rows(two_versions: LocalService, metric: str) -> None:
    result = _scored(two_versions, HELD_OUT, 2)

    expected = get_scorer(metric)(GOOD, HELD_OUT[COLUMNS], HELD_OUT[TARGET])
    score = _score(result, 0, metric)["score"]
    assert score["value"] == pytest.approx(expected)
    assert score["low"] < expected < score["high"]


def test_the_other_versions_are_compared_with_the_first(two_versions: LocalService) -> None:
    result = _scored(two_versions, HELD_OUT, 1, 2)

    first, second = (_score(result, at, "neg_log_loss") for at in (0, 1))
    assert (result["metric"], result["compared_with"]) == ("neg_log_loss", 1)
    assert first["difference"] is None
    assert second["difference"]["value"] == pytest.approx(second["score"]["value"] - first["score"]["value"])
    assert second["difference"]["low"] > 0
    assert result["headline"] == f"By neg_log_loss on {len(HELD_OUT)} rows, version 2 is better than version 1."


def test_the_other_order_turns_the_difference_around(two_versions: LocalService) -> None:
    result = _scored(two_versions, HELD_OUT, 2, 1)

    assert _score(result, 1, "neg_log_loss")["difference"]["high"] < 0
    assert "version 1 is worse than version 2" in result["headline"]


def test_the_same_model_twice_is_neither_better_nor_worse(two_versions: LocalService) -> None:
    two_versions.result(two_versions.pushed(GOOD, TRAIN, (TARGET,), SPLIT.rule))

    result = _scored(two_versions, HELD_OUT, 2, 3)

    assert _score(result, 1, "neg_log_loss")["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert "neither certainly better nor worse" in result["headline"]


def test_nothing_moves_and_nothing_is_published(two_versions: LocalService) -> None:
    before = two_versions.aliases.read(MODEL)

    _scored(two_versions, HELD_OUT, 1, 2)

    assert two_versions.aliases.read(MODEL) == before
    assert two_versions.models.versions(MODEL) == [1, 2]


def test_a_named_metric_is_the_primary_one(two_versions: LocalService) -> None:
    result = _scored(two_versions, HELD_OUT, 1, 2, metric="f1")

    assert result["metric"] == "f1"
    assert [version["scores"][0]["metric"] for version in result["versions"]] == ["f1", "f1"]
    expected = get_scorer("f1")(GOOD, HELD_OUT[COLUMNS], HELD_OUT[TARGET])
    assert result["versions"][1]["scores"][0]["score"]["value"] == pytest.approx(expected)


def test_weights_count(two_versions: LocalService) -> None:
    weights = np.where(HELD_OUT[TARGET] == 1, 5.0, 1.0)

    result = _scored(two_versions, HELD_OUT.assign(w=weights), 2, weight_column="w")

    expected = get_scorer("accuracy")(GOOD, HELD_OUT[COLUMNS], HELD_OUT[TARGET], sample_weight=weights)
    assert _score(result, 0, "accuracy")["score"]["value"] == pytest.approx(expected)


def test_numbers_have_the_metrics_of_numbers(service: LocalService) -> None:
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"])
    y = x["a"] * 2 + rng.normal(size=300)
    model = LinearRegression().fit(x, y)
    service.result(service.pushed(model, x, ("y",)))

    result = _scored(service, with_target(x, y, "y"), 1, target="y")

    assert result["metric"] == "r2"
    assert _score(result, 0, "r2")["score"]["value"] == pytest.approx(model.score(x, y))


# Rows that a version was fitted on


def test_the_sides_of_the_holdout_rule_are_counted(two_versions: LocalService) -> None:
    whole = _scored(two_versions, ROWS, 1)["versions"][0]["fitted"]
    held_out = _scored(two_versions, HELD_OUT, 1)["versions"][0]["fitted"]

    assert (whole["fit_side"], whole["held_out_side"]) == (len(SPLIT.train), len(SPLIT.test))
    assert (held_out["fit_side"], held_out["held_out_side"]) == (0, len(SPLIT.test))


def test_rows_of_the_fit_are_found_in_the_file(two_versions: LocalService) -> None:
    assert "fitted_rows_found" in _codes(_scored(two_versions, ROWS, 1))
    assert "may_be_fitted" in _codes(_scored(two_versions, HELD_OUT, 1))


def test_a_version_on_the_file_of_its_training_is_an_error(two_versions: LocalService) -> None:
    two_versions.result(two_versions.trained(two_versions.training_work(ROWS, (TARGET,)), 1))

    result = _scored(two_versions, ROWS, 3)

    finding = result["findings"][0]
    assert (finding["code"], finding["severity"]) == ("fitted_on_file", "error")
    assert f"puts {len(SPLIT.train):,} of the {len(ROWS):,} rows on the side of the fit" in finding["detail"]
    assert result["versions"][0]["fitted"]["trained_on_file"] is True


def test_without_a_holdout_rule_the_sides_are_unknown(service: LocalService) -> None:
    service.result(service.pushed(GOOD, TRAIN, (TARGET,)))

    fitted = _scored(service, HELD_OUT, 1)["versions"][0]["fitted"]

    assert (fitted["fit_side"], fitted["held_out_side"]) == (None, None)
    assert fitted["unknown"] == "the rows that version 1 was fitted on are unknown"


def test_a_file_without_the_column_of_the_split_is_scored(service: LocalService) -> None:
    split = queuecast.holdout(FEATURES.assign(cabin=ROWS.index % 50), columns=["cabin"])
    model = logistic().fit(FEATURES.iloc[split.train], SURVIVED.iloc[split.train])
    service.result(service.pushed(model, FEATURES.iloc[split.train], (TARGET,), split.rule))

    without = _scored(service, ROWS, 1)["versions"][0]
    with_column = _scored(service, ROWS.assign(cabin=ROWS.index % 50), 1)["versions"][0]

    assert without["scored"] is True
    assert without["fitted"]["unknown"] == "the file lacks cabin, by which the rows of version 1 were split"
    assert with_column["fitted"]["fit_side"] == len(split.train)


# Versions that cannot be scored


def test_a_version_of_other_columns_does_not_stop_the_others(two_versions: LocalService) -> None:
    other = LogisticRegression().fit(pd.DataFrame({"height": [1.0, 2.0]}), [0, 1])
    two_versions.result(two_versions.pushed(other, pd.DataFrame({"height": [1.0, 2.0]}), (TARGET,)))

    first, second = _scored(two_versions, HELD_OUT, 2, 3)["versions"]

    assert (first["scored"], second["scored"], second["scores"]) == (True, False, [])
    assert "height" in second["reason"]


def test_the_first_version_that_can_be_scored_is_compared_with(two_versions: LocalService) -> None:
    other = LogisticRegression().fit(pd.DataFrame({"height": [1.0, 2.0]}), [0, 1])
    two_versions.result(two_versions.pushed(other, pd.DataFrame({"height": [1.0, 2.0]}), (TARGET,)))

    result = _scored(two_versions, HELD_OUT, 3, 1, 2)

    assert result["compared_with"] == 1
    assert [version["scored"] for version in result["versions"]] == [False, True, True]


def test_a_version_of_another_target_is_not_scored(two_versions: LocalService) -> None:
    two_versions.result(two_versions.pushed(GOOD, TRAIN, ("boat",), SPLIT.rule))

    reason = _scored(two_versions, HELD_OUT, 1, 3)["versions"][1]["reason"]

    assert reason == f"it was fitted on the target boat, and the request names {TARGET}"


def test_a_version_of_other_classes_is_not_scored(two_versions: LocalService) -> None:
    words = SURVIVED.iloc[SPLIT.train].map({0: "lost", 1: "saved"})
    two_versions.result(two_versions.pushed(logistic().fit(TRAIN, words), TRAIN, (TARGET,), SPLIT.rule))

    version = _scored(two_versions, HELD_OUT, 1, 3)["versions"][1]

    assert version["scored"] is False
    assert version["reason"] == "the file has the labels '0' and '1' where version 3 predicts 'lost' and 'saved'"


def test_a_deleted_version_is_not_scored(two_versions: LocalService) -> None:
    version = _scored(two_versions, HELD_OUT, 1, 9)["versions"][1]

    assert version["scored"] is False
    assert "9" in version["reason"]


def test_an_estimator_without_a_metric_fails_the_only_version(service: LocalService) -> None:
    x = pd.DataFrame({"a": [0.0, 0.1, 5.0, 5.1] * 10})
    service.result(service.pushed(KMeans(2, random_state=0, n_init=1).fit(x), x, ()))

    job = _ran(service, with_target(x, [0, 0, 1, 1] * 10), 1, target="target")

    assert (job.state, job.failure is not None and "KMeans has no metric" in job.failure.detail) == (State.FAILED, True)


def test_labels_that_a_version_does_not_know_are_counted(two_versions: LocalService) -> None:
    rows = HELD_OUT.copy()
    rows.loc[:4, TARGET] = 2

    finding = next(each for each in _scored(two_versions, rows, 1)["findings"] if each["code"] == "unknown_labels")

    assert finding["detail"].startswith(f"5 of the {len(rows)} rows have the labels 2")


# Bad rows


def _with_bad_age(rows: pd.DataFrame, *positions: int) -> pd.DataFrame:
    rows = rows.astype({"age": object})
    rows.loc[list(positions), "age"] = "old"
    return rows


def test_a_bad_cell_fails_the_evaluation(two_versions: LocalService) -> None:
    job = _ran(two_versions, _with_bad_age(HELD_OUT, 3), 1)

    assert job.state is State.FAILED
    assert job.failure is not None
    assert job.failure.findings[0].pointer == "row 4, column age"


def test_bad_rows_are_left_out_and_listed_once(two_versions: LocalService) -> None:
    job = _ran(two_versions, _with_bad_age(HELD_OUT, 3, 8), 1, 2, on_error=OnError.SKIP)

    result = two_versions.result(job)
    lines = two_versions.folders.bad_rows_of_training(job.id).read_text().splitlines()
    assert result["rows"] == {"scored": len(HELD_OUT) - 2, "bad": 2}
    assert [json.loads(line)["row"] for line in lines] == [4, 9]
    assert [cell["row"] for cell in result["bad_cells"]] == [4, 9]


def test_versions_of_different_columns_are_scored_on_the_rows_that_fit_both(two_versions: LocalService) -> None:
    kept = HELD_OUT.drop(index=3).reset_index(drop=True)
    simple = LogisticRegression().fit(TRAIN[["pclass", "sibsp"]], SURVIVED.iloc[SPLIT.train])
    two_versions.result(two_versions.pushed(simple, TRAIN[["pclass", "sibsp"]], (TARGET,)))

    result = _scored(two_versions, _with_bad_age(HELD_OUT, 3), 2, 3, on_error=OnError.SKIP)

    assert result["rows"] == {"scored": len(kept), "bad": 1}
    for at, (model, names) in enumerate([(GOOD, COLUMNS), (simple, ["pclass", "sibsp"])]):
        expected = get_scorer("accuracy")(model, kept[names], kept[TARGET])
        assert _score(result, at, "accuracy")["score"]["value"] == pytest.approx(expected)
    assert _score(result, 1, "accuracy")["difference"] is not None


def test_few_rows_are_a_finding(two_versions: LocalService) -> None:
    assert "few_rows" in _codes(_scored(two_versions, HELD_OUT.head(50), 1))
    assert "few_rows" not in _codes(_scored(two_versions, HELD_OUT, 1))


def test_the_facts_of_the_report_are_those_of_the_scored_rows(two_versions: LocalService) -> None:
    job = _ran(two_versions, HELD_OUT, 1, 2)

    facts = msgspec.json.decode(two_versions.folders.report(job.id).read_bytes(), type=EvaluationFacts)

    (target,) = facts.targets
    first, second = target.versions
    assert (first.role, second.role) == ("version 1", "version 2")
    assert sum(each.held_out for each in target.rows) == len(HELD_OUT)
    assert {each.fitted for each in target.rows} == {0}
    expected = get_scorer("roc_auc")(GOOD, HELD_OUT[COLUMNS], HELD_OUT[TARGET])
    assert second.curves[0].roc.area == pytest.approx(expected)
    assert second.confusion is not None
    assert np.array_equal(second.confusion.counts, confusion_matrix(HELD_OUT[TARGET], GOOD.predict(HELD_OUT[COLUMNS])))
    assert [(each.role, each.version) for each in facts.versions] == [("version 1", 1), ("version 2", 2)]


def test_the_curves_of_the_report_are_weighted(two_versions: LocalService) -> None:
    weights = np.where(HELD_OUT["sex"] == "male", 5.0, 1.0)

    job = _ran(two_versions, HELD_OUT.assign(w=weights), 2, weight_column="w")

    facts = msgspec.json.decode(two_versions.folders.report(job.id).read_bytes(), type=EvaluationFacts)
    expected = get_scorer("roc_auc")(GOOD, HELD_OUT[COLUMNS], HELD_OUT[TARGET], sample_weight=weights)
    assert facts.is_weighted
    assert facts.targets[0].versions[0].curves[0].roc.area == pytest.approx(expected)


def test_numbers_have_residuals_in_the_report(service: LocalService) -> None:
    x = pd.DataFrame({"a": np.arange(300.0), "b": np.arange(300.0) % 7})
    y = 2 * x["a"] + x["b"] + np.sin(x["a"])
    service.result(service.pushed(LinearRegression().fit(x, y), x, ("y",)))

    job = _ran(service, x.assign(y=y), 1, target="y")

    facts = msgspec.json.decode(service.folders.report(job.id).read_bytes(), type=EvaluationFacts)
    residuals = facts.targets[0].versions[0].residuals
    assert residuals is not None
    assert residuals.mean == pytest.approx((y - LinearRegression().fit(x, y).predict(x)).mean(), abs=1e-6)
    assert sum(each.held_out for each in facts.targets[0].rows) == 300
