"""Retraining: the rows of the fit, the comparison, and the moves of the champion."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.cluster import MeanShift
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, QuantileRegressor, RidgeClassifier
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

import queuecast
from examples.titanic.train import COLUMNS, TARGET, logistic, passengers
from queuecast.domain.errors import ConflictError, Failure, JobStoppedError, mismatch
from queuecast.domain.gate import PromotionPolicy
from queuecast.domain.holdout import METHODS, HoldoutRule
from queuecast.domain.job import Job, JobType, ModelRef, Progress, State
from queuecast.domain.model import CHALLENGER, CHAMPION
from queuecast.domain.work import Method, TrainingWork
from tests.worker.model_fixtures import MODEL, LocalService, with_target
from tests.worker.process_deaths import ProcessKilled, kill_at_step
from worker.labelled.training_rows import TrainingRows
from worker.models.loading import sha256_of
from worker.trainings.param_values import as_estimator_takes
from worker.trainings.runner import STAGES

pytestmark = pytest.mark.filterwarnings("ignore")

ROWS = passengers()
FEATURES, SURVIVED = ROWS[COLUMNS], ROWS[TARGET]
SPLIT = queuecast.holdout(FEATURES)
TRAIN, TEST = FEATURES.iloc[SPLIT.train], FEATURES.iloc[SPLIT.test]
FIRST = logistic().fit(TRAIN, SURVIVED.iloc[SPLIT.train])
CRIPPLED = {"model__C": 1e-9}


@pytest.fixture
def titanic(service: LocalService) -> LocalService:
    """Version 1 is the champion, with a known holdout."""
    service.result(service.pushed(FIRST, TRAIN, (TARGET,), SPLIT.rule))
    return service


@pytest.fixture
def unknown_holdout(service: LocalService) -> LocalService:
    """Version 1 is the champion, and its holdout is unknown."""
    service.result(service.pushed(FIRST, TRAIN, (TARGET,)))
    return service


def _trained(service: LocalService, version: int = 1, rows: Any = ROWS, **options: Any) -> dict[str, Any]:
    return service.result(service.trained(service.training_work(rows, (TARGET,), **options), version))


def _scored(metric: str, estimator: Any) -> float:
    return float(get_scorer(metric)(estimator, TEST, SURVIVED.iloc[SPLIT.test]))


def _failure(job: Job) -> Failure:
    assert job.state is State.FAILED
    assert job.failure is not None
    return job.failure


# The gate


def test_a_version_that_is_not_worse_becomes_champion(titanic: LocalService) -> None:
    result = _trained(titanic)

    assert (result["verdict"], result["promoted"], titanic.champion()) == ("not_worse", True, 2)


def test_a_version_that_is_better_becomes_champion(service: LocalService) -> None:
    weak = clone(FIRST).set_params(**CRIPPLED).fit(TRAIN, SURVIVED.iloc[SPLIT.train])
    service.pushed(weak, TRAIN, (TARGET,), SPLIT.rule)

    result = _trained(service, params={"model__C": 1.0})

    assert (result["verdict"], result["promoted"], service.champion()) == ("better", True, 2)


def test_a_version_that_is_worse_does_not_become_champion(titanic: LocalService) -> None:
    result = _trained(titanic, params=CRIPPLED)

    assert (result["verdict"], result["promoted"], titanic.champion()) == ("worse", False, 1)


@pytest.mark.parametrize(
    ("promote", "params", "aliases"),
    [
        (PromotionPolicy.AUTO, {}, {CHAMPION: 2}),
        (PromotionPolicy.AUTO, CRIPPLED, {CHAMPION: 1, CHALLENGER: 2}),
        (PromotionPolicy.MANUAL, {}, {CHAMPION: 1, CHALLENGER: 2}),
        (PromotionPolicy.MANUAL, CRIPPLED, {CHAMPION: 1, CHALLENGER: 2}),
        (PromotionPolicy.NEVER, {}, {CHAMPION: 1}),
        (PromotionPolicy.NEVER, CRIPPLED, {CHAMPION: 1}),
    ],
)
def test_aliases_move_according_to_the_policy(
    titanic: LocalService, promote: PromotionPolicy, params: dict[str, Any], aliases: dict[str, int]
) -> None:
    result = _trained(titanic, promote=promote, params=params)

    assert titanic.aliases.read(MODEL).versions == aliases
    assert result["promoted"] is (aliases[CHAMPION] == 2)


def test_a_later_challenger_takes_the_alias_from_an_earlier_one(titanic: LocalService) -> None:
    _trained(titanic, promote=PromotionPolicy.MANUAL)

    _trained(titanic, promote=PromotionPolicy.MANUAL)

    assert titanic.aliases.read(MODEL).versions == {CHAMPION: 1, CHALLENGER: 3}


def test_a_promotion_is_in_the_audit_trail_with_its_scores_and_job(titanic: LocalService) -> None:
    job = titanic.trained(titanic.training_work(ROWS, (TARGET,)))

    move = titanic.aliases.history(MODEL)[-1]
    assert (move.alias, move.version, move.previous, move.action, move.job_id) == (CHAMPION, 2, 1, "training", job.id)
    assert "neg_log_loss" in move.reason


@pytest.mark.parametrize("promote", PromotionPolicy)
def test_a_champion_with_an_unknown_holdout_is_incomparable_and_stays(
    unknown_holdout: LocalService, promote: PromotionPolicy
) -> None:
    result = _trained(unknown_holdout, promote=promote)

    assert (result["verdict"], result["promoted"], unknown_holdout.champion()) == ("incomparable", False, 1)
    assert "the rows that version 1 was fitted on are unknown" in result["reason"]
    assert result["champion"]["score"] is None
    assert -0.6 < result["challenger"]["score"] < -0.3


def test_the_next_training_is_comparable_after_a_person_promoted_version_2(unknown_holdout: LocalService) -> None:
    _trained(unknown_holdout)
    unknown_holdout.point(CHAMPION, 2)

    result = _trained(unknown_holdout, version=2)

    assert (result["verdict"], result["promoted"], unknown_holdout.champion()) == ("not_worse", True, 3)


def test_a_champion_moved_by_a_person_during_a_training_stays(titanic: LocalService) -> None:
    _trained(titanic, promote=PromotionPolicy.NEVER)
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)

    def report(progress: Progress) -> None:
        if progress.stage == "score":
            titanic.point(CHAMPION, 2)

    result = titanic.training.run(job, work, report).value

    assert (result["version"], result["promoted"], titanic.champion()) == (3, False, 2)
    assert "moved in between" in result["reason"]


def test_a_challenger_set_during_a_training_does_not_stop_its_promotion(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)

    result = titanic.training.run(job, work, lambda progress: titanic.point(CHALLENGER, 1)).value

    assert (result["promoted"], titanic.champion()) == (True, 2)


def test_a_version_with_another_target_is_incomparable(titanic: LocalService) -> None:
    died = ROWS.assign(died=1 - SURVIVED)

    result = titanic.result(titanic.trained(titanic.training_work(died, ("died",))))

    assert (result["verdict"], result["promoted"], titanic.champion()) == ("incomparable", False, 1)
    assert result["reason"] == "the champion was fitted on the target survived, this version on died"
    assert titanic.aliases.read(MODEL).versions == {CHAMPION: 1, CHALLENGER: 2}


@pytest.mark.parametrize("known", [(), ("target",)], ids=["none", "a_default"])
def test_a_target_that_was_pushed_without_a_name_may_have_any_name_in_the_file(
    service: LocalService, known: tuple[str, ...]
) -> None:
    service.pushed(FIRST, TRAIN, known, SPLIT.rule)

    result = _trained(service)

    assert (result["verdict"], result["promoted"]) == ("not_worse", True)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("False", "True"), "'False' and 'True'"),
        (tuple("abcdefg"), "'a', 'b', 'c', 'd', 'e' and 2 more"),
    ],
)
def test_labels_of_another_type_than_the_champions_are_reported(
    titanic: LocalService, labels: tuple[str, ...], words: str
) -> None:
    found = np.array(labels)[np.arange(len(ROWS)) % len(labels)]

    result = _trained(titanic, rows=ROWS.assign(**{TARGET: found}))

    assert (result["verdict"], result["promoted"]) == ("incomparable", False)
    assert result["reason"] == f"the file has the labels {words} where the champion predicts 0 and 1"


@pytest.mark.parametrize("place", ["train", "test"])
def test_a_target_that_is_not_a_number_is_reported_for_a_regressor_in_any_row(
    service: LocalService, place: str
) -> None:
    fitted, rows = _on_numbers(LinearRegression())
    service.pushed(fitted, rows[["fare", "sibsp"]], holdout=HoldoutRule())
    at = getattr(queuecast.holdout(rows[["fare", "sibsp"]]), place)[3]
    bad = rows.astype({"target": object})
    bad.loc[at, "target"] = "x"

    failure = _failure(service.trained(service.training_work(bad)))

    assert failure.findings == (mismatch(f"row {at + 1}, column target", "wrong_type", "'x'", "a number", "target"),)


# Scores


def test_both_scores_equal_those_of_the_estimators_on_the_held_out_rows(titanic: LocalService) -> None:
    result = _trained(titanic, params={"model__C": 0.01})

    challenger = clone(FIRST).set_params(model__C=0.01).fit(TRAIN, SURVIVED.iloc[SPLIT.train])
    table = {each["metric"]: each for each in result["scores"]}
    for metric in ("neg_log_loss", "accuracy", "balanced_accuracy", "roc_auc", "average_precision", "f1_macro"):
        found = [table[metric][role]["value"] for role in ("champion", "challenger")]
        assert found == pytest.approx([_scored(metric, each) for each in (FIRST, challenger)], rel=1e-9)
    assert result["metric"] == "neg_log_loss"
    assert result["champion"]["score"] == table["neg_log_loss"]["champion"]["value"]
    assert result["challenger"]["score"] == table["neg_log_loss"]["challenger"]["value"]
    assert result["rows"] == {"train": len(SPLIT.train), "holdout": len(SPLIT.test), "bad": 0}


def test_both_scores_are_in_the_manifest(titanic: LocalService) -> None:
    result = _trained(titanic, params=CRIPPLED)

    metrics = titanic.manifest(2).metrics
    assert (metrics["champion"], metrics["challenger"]) == (result["champion"]["score"], result["challenger"]["score"])
    assert (metrics["metric"], metrics["verdict"], metrics["champion_version"]) == ("neg_log_loss", "worse", 1)
    assert metrics["scores"]["neg_log_loss"][0] == metrics["challenger"]
    assert metrics["holdout_rows"] == len(SPLIT.test)


def test_the_same_rows_are_held_out_in_any_order_of_the_file(titanic: LocalService) -> None:
    mixed = ROWS.sample(frac=1, random_state=0)

    result = _trained(titanic, rows=mixed)

    assert result["rows"] == {"train": len(SPLIT.train), "holdout": len(SPLIT.test), "bad": 0}
    assert result["champion"]["score"] == pytest.approx(_scored("neg_log_loss", FIRST))


@pytest.mark.parametrize("rule", [HoldoutRule(0.4), HoldoutRule(0.2, ("age", "fare"))], ids=["fraction", "columns"])
def test_the_split_follows_the_rule_of_the_champion(service: LocalService, rule: HoldoutRule) -> None:
    split = queuecast.holdout(FEATURES, rule.fraction, rule.columns or None)
    service.pushed(FIRST, TRAIN, (TARGET,), rule)

    result = _trained(service)

    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert service.manifest(2).holdout == split.rule


def test_an_array_is_split_by_the_rule_that_splits_it_in_a_notebook(service: LocalService) -> None:
    array = FEATURES[["age", "fare", "sibsp"]].fillna(-1.5).to_numpy()
    split = queuecast.holdout(array)
    forest = RandomForestClassifier(3, random_state=0).fit(array[split.train], SURVIVED.iloc[split.train])
    service.pushed(forest, array[split.train], ("target",), split.rule)

    result = service.result(service.trained(service.training_work(with_target(array, SURVIVED))))

    expected = get_scorer("neg_log_loss")(forest, array[split.test], SURVIVED.iloc[split.test])
    assert result["champion"]["score"] == pytest.approx(expected)


def test_a_champion_that_was_split_by_the_first_method_keeps_its_split(service: LocalService) -> None:
    split = queuecast.holdout(FEATURES, method="rowhash-v1")
    assert split.test != SPLIT.test
    fitted = logistic().fit(FEATURES.iloc[split.train], SURVIVED.iloc[split.train])
    service.pushed(fitted, FEATURES.iloc[split.train], (TARGET,), split.rule)

    result = _trained(service)

    expected = get_scorer("neg_log_loss")(fitted, FEATURES.iloc[split.test], SURVIVED.iloc[split.test])
    assert result["champion"]["score"] == pytest.approx(expected)
    assert service.manifest(2).holdout == split.rule


def test_a_champion_that_was_split_by_an_unknown_method_is_not_retrained(service: LocalService) -> None:
    service.pushed(FIRST, TRAIN, (TARGET,), HoldoutRule(method="rowhash-v9"))

    failure = _failure(service.trained(service.training_work(ROWS, (TARGET,))))

    assert "version 1 was split by 'rowhash-v9'; this worker knows 'rowhash-v1' and 'rowhash-v2'" in failure.detail


def _on_measures(service: LocalService, layout: str, method: str = "rowhash-v2") -> pd.DataFrame:
    """Pushes a champion that was fitted without the held-out rows, and returns all rows with their target."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(400, 2)) * [1, 1000], columns=["x0", "x1"]).assign(x2=np.arange(400) % 3)
    target = (frame["x0"] > 0).astype(int)
    split = queuecast.holdout(frame, method=method)
    rows: Any = frame.iloc[split.train]
    rows = rows if layout == "frame" else rows.to_numpy()
    service.pushed(LogisticRegression().fit(rows, target.iloc[split.train]), rows, holdout=split.rule)
    return with_target(frame, target)


ROUNDED = {
    "decimals": lambda rows: rows.round(3),
    "significant digits": lambda rows: rows.to_csv(index=False, float_format="%.5g").encode(),
    "one column": lambda rows: rows.assign(x1=rows["x1"].round(1)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layout", ["frame", "array"])
@pytest.mark.parametrize("rounded", ROUNDED.values(), ids=ROUNDED)
def test_a_file_with_rounded_numbers_whose_rows_changed_sides_is_incomparable(
    service: LocalService, rounded: Callable[[Any], Any], layout: str, method: str
) -> None:
    rows = _on_measures(service, layout, method)

    result = service.result(service.trained(service.training_work(rounded(rows))))

    assert (result["verdict"], result["promoted"], service.champion()) == ("incomparable", False, 1)
    assert "version 1 was fitted on" in result["reason"]
    assert "rounded numbers in this file" in result["reason"]


def test_a_file_of_new_rows_with_rounded_numbers_is_compared(service: LocalService) -> None:
    rows = _on_measures(service, "frame")
    draw = np.random.default_rng(1)
    new = rows.assign(x0=draw.normal(size=400).round(3), x1=(draw.normal(size=400) * 1000).round(1))

    result = service.result(service.trained(service.training_work(new.assign(target=(new["x0"] > 0).astype(int)))))

    assert None not in (result["champion"]["score"], result["challenger"]["score"])


def test_a_json_file_of_pandas_moves_no_row(service: LocalService) -> None:
    rows = _on_measures(service, "frame")
    split = queuecast.holdout(rows[["x0", "x1", "x2"]])

    file = service.stored(rows.to_json(orient="records", lines=True).encode(), "application/x-ndjson")
    result = service.result(service.trained(TrainingWork(file.id, file.sha256, ("target",))))

    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert None not in (result["champion"]["score"], result["challenger"]["score"])


def _on_numbers(estimator: Any) -> tuple[Any, pd.DataFrame]:
    known = FEATURES[["fare", "sibsp"]].fillna(0.0)
    return estimator.fit(known, SURVIVED), with_target(known, SURVIVED)


@pytest.mark.parametrize(
    ("estimator", "metric"),
    [
        (LogisticRegression(), "neg_log_loss"),
        (RidgeClassifier(), "balanced_accuracy"),
        (LinearRegression(), "r2"),
        (QuantileRegressor(solver="highs"), "neg_mean_absolute_error"),
        (GridSearchCV(LogisticRegression(), {"C": [1.0]}, scoring="roc_auc"), "roc_auc"),
    ],
    ids=["classifier", "without probabilities", "regressor", "absolute error", "search"],
)
def test_the_deciding_metric_follows_from_the_estimator(service: LocalService, estimator: Any, metric: str) -> None:
    fitted, rows = _on_numbers(estimator)
    service.pushed(fitted, rows[["fare", "sibsp"]], holdout=HoldoutRule())

    assert service.result(service.trained(service.training_work(rows)))["metric"] == metric


def test_an_estimator_whose_answers_are_no_targets_is_incomparable(service: LocalService) -> None:
    fitted, rows = _on_numbers(MeanShift(bandwidth=100, bin_seeding=True))
    service.pushed(fitted, rows[["fare", "sibsp"]], holdout=HoldoutRule())

    result = service.result(service.trained(service.training_work(rows)))

    assert (result["verdict"], result["metric"]) == ("incomparable", None)
    assert "MeanShift has no score of rows without a target; both versions answer alike" in result["reason"]


def test_a_file_without_a_row_to_hold_out_is_incomparable(titanic: LocalService) -> None:
    result = _trained(titanic, rows=ROWS.iloc[SPLIT.train])

    assert (result["verdict"], result["promoted"]) == ("incomparable", False)
    assert "no row of the file is held out" in result["reason"]


def test_a_file_with_only_held_out_rows_is_refused(titanic: LocalService) -> None:
    failure = _failure(titanic.trained(titanic.training_work(ROWS.iloc[SPLIT.test], (TARGET,))))

    assert failure.code == "invalid_input"
    assert f"all {len(SPLIT.test)} rows of the file are held out" in failure.detail


def _of_colors(estimator: Any) -> tuple[pd.DataFrame, Any, list[int], list[int]]:
    """Rows with a color. One color is only in held-out rows and in training rows that the champion has not seen."""
    colors = np.arange(60) % 3
    frame = pd.DataFrame({"color": colors, "nth": np.arange(60) % 20})
    split = queuecast.holdout(frame)
    new = [*split.test[:4], *split.train[:8]]
    frame.loc[new, "color"] = 3
    split = queuecast.holdout(frame)
    old = [at for at in split.train if frame["color"][at] != 3]
    assert (frame["color"].iloc[split.test] == 3).any()
    assert (frame["color"].iloc[split.train] == 3).any()
    return frame, estimator, old, split.test


@pytest.mark.parametrize(
    "estimator",
    [make_pipeline(OneHotEncoder(handle_unknown="error"), LogisticRegression()), CategoricalNB()],
    ids=["encoder", "bayes"],
)
def test_a_champion_that_cannot_answer_a_held_out_row_is_incomparable(service: LocalService, estimator: Any) -> None:
    frame, estimator, old, _ = _of_colors(estimator)
    target = np.where(frame["color"] > 1, "warm", "cold")
    fitted = estimator.fit(frame.iloc[old], target[old])
    service.pushed(fitted, frame.iloc[old], holdout=HoldoutRule())

    job = service.trained(service.training_work(with_target(frame, target)))

    assert job.state is State.SUCCEEDED, job.failure
    assert service.result(job)["verdict"] == "incomparable"


# The fit


def test_the_new_version_predicts_like_the_same_fit_in_this_process(titanic: LocalService) -> None:
    _trained(titanic, params={"model__C": 0.05})

    fitted = clone(FIRST).set_params(model__C=0.05).fit(TRAIN, SURVIVED.iloc[SPLIT.train])
    found = titanic.answers(FEATURES, Method.PREDICT_PROBA, version=2)
    np.testing.assert_allclose(found, fitted.predict_proba(FEATURES), rtol=1e-9)


def test_the_champion_is_unchanged_by_a_training(titanic: LocalService) -> None:
    before = titanic.answers(FEATURES, Method.PREDICT_PROBA)

    _trained(titanic, params=CRIPPLED)

    assert titanic.answers(FEATURES, Method.PREDICT_PROBA) == before


def test_the_new_version_accepts_the_same_rows_as_the_old_one(titanic: LocalService) -> None:
    _trained(titanic)

    assert titanic.manifest(2).signature == titanic.manifest(1).signature


def test_the_new_version_learns_and_accepts_new_categories(service: LocalService) -> None:
    frame = FEATURES[["fare"]].assign(embarked=FEATURES["embarked"].astype("category"))
    forest = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(frame, SURVIVED)
    service.pushed(forest, frame, (TARGET,), HoldoutRule())
    harbor = frame.assign(embarked=np.where(np.arange(len(frame)) % 9, frame["embarked"].astype(object), "B"))

    result = _trained(service, rows=with_target(harbor, SURVIVED, TARGET))

    assert service.manifest(1).signature.columns[1].categories == ("C", "Q", "S")
    assert service.manifest(2).signature.columns[1].categories == ("C", "Q", "S", "B")
    assert None not in (result["champion"]["score"], result["challenger"]["score"])


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("whole numbers", [3, 1, 2, 1, 3, 2]),
        ("whole numbers with holes", [3, None, 2, 1, 3, None]),
        ("truths", [True, False, True, False, False, True]),
    ],
)
def test_a_champion_with_categories_that_are_not_strings_can_be_retrained(
    service: LocalService, kind: str, cells: list[Any]
) -> None:
    frame = pd.DataFrame({"kind": pd.Categorical(cells * 20), "nth": np.arange(120) / 7})
    target = np.arange(120) % 2
    forest = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(frame, target)
    service.pushed(forest, frame, holdout=HoldoutRule())

    job = service.trained(service.training_work(with_target(frame, target)))

    assert job.state is State.SUCCEEDED, f"{kind}: {job.failure}"
    assert service.manifest(2).signature.columns == service.manifest(1).signature.columns


def test_a_target_of_strings_stays_strings(service: LocalService) -> None:
    words = np.where(SURVIVED == 1, "1", "0")
    service.pushed(clone(FIRST).fit(TRAIN, words[SPLIT.train]), TRAIN, ("fate",), SPLIT.rule)

    service.result(service.trained(service.training_work(with_target(FEATURES, words, "fate"), ("fate",))))

    assert service.manifest(2).classes == ["0", "1"]


def test_the_lineage_has_the_parent_the_file_and_the_parameters(titanic: LocalService) -> None:
    data = ROWS.to_csv(index=False).encode()

    job = titanic.trained(titanic.training_work(data, (TARGET,), {"model__C": 0.5}))

    manifest = titanic.manifest(2)
    assert manifest.lineage is not None
    assert (manifest.lineage.parent_version, manifest.lineage.params) == (1, {"model__C": 0.5})
    assert manifest.lineage.file_sha256 == sha256_of(data)
    assert (manifest.lineage.train_rows, manifest.lineage.holdout_rows) == (len(SPLIT.train), len(SPLIT.test))
    assert (manifest.source, manifest.job_id, manifest.target) == ("training", job.id, (TARGET,))
    assert manifest.sha256 == sha256_of(titanic.models.file(MODEL, 2, "model.skops"))
    assert job.model == ModelRef(MODEL, 2, sha256=manifest.sha256)


def test_the_training_file_stays_after_the_training(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))

    titanic.trained(work)

    assert titanic.files.stat(work.file_id).sha256 == work.file_sha256


# Refusals and stops


@pytest.mark.parametrize("params", [{"no_such": 1}, {"model__no_such": 1}, {"model__C__deeper": 1}])
def test_unknown_parameters_are_invalid_input_at_params(titanic: LocalService, params: dict[str, Any]) -> None:
    failure = _failure(titanic.trained(titanic.training_work(ROWS, (TARGET,), params)))

    assert failure.code == "invalid_input"
    (finding,) = failure.findings
    assert (finding.pointer, finding.code) == ("/params", "invalid_params")
    assert finding.found == f"an unknown parameter {next(iter(params))!r}"
    assert (finding.expected or "").startswith("one of memory, steps")


def test_a_long_parameter_value_is_reported_shortened(titanic: LocalService) -> None:
    params = {"model__solver": "x" * 100_000}

    failure = _failure(titanic.trained(titanic.training_work(ROWS, (TARGET,), params)))

    assert len(failure.detail) < 1000
    assert len(failure.findings[0].detail) <= 500


@pytest.mark.parametrize("params", [{"model__C": -1.0}, {"model__C": "strong"}, {"model__solver": "magic"}])
def test_invalid_parameter_values_are_invalid_input_at_params(titanic: LocalService, params: dict[str, Any]) -> None:
    failure = _failure(titanic.trained(titanic.training_work(ROWS, (TARGET,), params)))

    assert failure.code == "invalid_input"
    assert [(finding.pointer, finding.code) for finding in failure.findings] == [("/params", "invalid_params")]


def test_an_error_of_the_fit_fails_the_job_with_its_message(titanic: LocalService) -> None:
    one_class = ROWS[ROWS[TARGET] == 1]

    failure = _failure(titanic.trained(titanic.training_work(one_class, (TARGET,))))

    assert failure.code == "fit_failed"
    assert "at least 2 classes" in failure.detail


def test_rows_that_do_not_fit_into_memory_fail_the_fit(titanic: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out_of_memory(rows: TrainingRows, positions: list[int]) -> None:
        raise MemoryError("no room for the rows")

    monkeypatch.setattr(TrainingRows, "take_features", run_out_of_memory)

    failure = _failure(titanic.trained(titanic.training_work(ROWS, (TARGET,))))

    assert (failure.code, failure.detail) == ("fit_failed", "fit raised MemoryError: no room for the rows")


def test_cells_that_do_not_fit_are_reported_by_row_and_column(titanic: LocalService) -> None:
    bad = ROWS.astype({"age": object, "sibsp": object})
    bad.loc[4, "age"] = "old"
    bad.loc[6, "sibsp"] = 1.5

    failure = _failure(titanic.trained(titanic.training_work(bad, (TARGET,))))

    assert failure.findings == (
        mismatch("row 5, column age", "wrong_type", "'old'", "a number", "age"),
        mismatch("row 7, column sibsp", "wrong_type", "'1.5'", "an integer", "sibsp"),
    )


def test_a_missing_training_file_fails_the_job(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    titanic.files.delete(work.file_id)

    assert _failure(titanic.trained(work)).code == "unknown_file"


def test_a_missing_version_fails_the_training(titanic: LocalService) -> None:
    assert _failure(titanic.trained(titanic.training_work(ROWS, (TARGET,)), version=9)).code == "unknown_version"


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"no_such": 1}},
        {"rows": ROWS[ROWS[TARGET] == 1]},
        {"rows": ROWS.drop(columns="age")},
        {"rows": ROWS.iloc[SPLIT.test]},
    ],
    ids=["params", "fit", "file", "split"],
)
def test_a_training_that_fails_leaves_no_version_and_no_alias_moved(
    titanic: LocalService, options: dict[str, Any]
) -> None:
    titanic.trained(titanic.training_work(options.get("rows", ROWS), (TARGET,), options.get("params")))

    assert titanic.models.versions("model") == [1]
    assert titanic.aliases.read(MODEL).generation == 1


def _reported(service: LocalService, report: Callable[[Progress], None]) -> None:
    work = service.training_work(ROWS, (TARGET,))
    service.training.run(service.started(JobType.TRAINING, ModelRef(MODEL, 1), work), work, report)


def test_the_stages_are_reported_in_order_with_their_rows(titanic: LocalService) -> None:
    seen: list[Progress] = []

    _reported(titanic, seen.append)

    assert [(progress.done, progress.stage) for progress in seen] == list(enumerate(STAGES))
    rows = [progress.rows for progress in seen]
    assert rows == [None, len(ROWS), len(ROWS), len(SPLIT.train), len(SPLIT.test), None, None]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "promote"])
def test_a_training_that_is_stopped_before_its_end_leaves_no_version(titanic: LocalService, stage: str) -> None:
    def report(progress: Progress) -> None:
        if progress.stage == stage:
            raise JobStoppedError("asked to stop")

    with pytest.raises(JobStoppedError):
        _reported(titanic, report)

    assert titanic.models.versions("model") == [1]


def test_a_training_canceled_while_it_fits_promotes_nothing(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.submitted(JobType.TRAINING, ModelRef(MODEL, 1), work)
    run = titanic.runners[JobType.TRAINING]

    def run_and_cancel(job: Job, work: Any, rows: bytes, report: Callable[[Progress], None]) -> Any:
        def report_and_cancel(progress: Progress) -> None:
            report(progress)
            if progress.stage == "fit":
                titanic.rewritten(job, lambda present: present.cancel_requested(5.0, 10.0))

        return run(job, work, rows, report_and_cancel)

    titanic.runners[JobType.TRAINING] = run_and_cancel
    titanic.consumer.drain(job.lane)

    assert titanic.jobs.read(job.id).state is State.CANCELED
    assert (titanic.models.versions("model"), titanic.champion()) == ([1], 1)


def test_a_second_training_of_a_model_is_refused_while_one_is_unfinished(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    titanic.submitted(JobType.TRAINING, ModelRef(MODEL, 1), work)

    with pytest.raises(ConflictError, match="in training already"):
        titanic.submitted(JobType.TRAINING, ModelRef(MODEL, 1), work)


def test_a_file_that_changed_after_acceptance_is_not_trained_on(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    path = titanic.files.path(work.file_id)
    path.write_bytes(path.read_bytes() + b"\n")

    failure = _failure(titanic.trained(work))

    assert failure.code == "file_changed"
    assert titanic.models.versions("model") == [1]


# A second run after a death

STEPS = [*STAGES, "publish before", "publish after", "move before", "move after", "end"]


def _lost_after_death(service: LocalService, job: Job, work: TrainingWork, where: str) -> Job:
    """The job after a run died at that step and another worker claimed it."""
    report = kill_at_step(service.models, service.aliases, where)

    def run_and_die() -> None:
        service.training.run(job, work, report)
        raise ProcessKilled

    with pytest.raises(ProcessKilled):
        run_and_die()
    return service.lost(job)


@pytest.mark.parametrize("where", STEPS)
@pytest.mark.parametrize("promote", [PromotionPolicy.AUTO, PromotionPolicy.MANUAL])
def test_a_training_that_dies_at_any_step_and_runs_again_makes_one_version_and_one_move(
    titanic: LocalService, where: str, promote: PromotionPolicy
) -> None:
    """The second run ends like a run without a death."""
    work = titanic.training_work(ROWS, (TARGET,), promote=promote)
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    again = _lost_after_death(titanic, job, work, where)

    value = titanic.training.run(again, work, lambda progress: None).value

    alias = CHAMPION if promote is PromotionPolicy.AUTO else CHALLENGER
    assert (value["version"], value["promoted"]) == (2, promote is PromotionPolicy.AUTO)
    assert titanic.models.versions(MODEL) == [1, 2]
    assert titanic.aliases.read(MODEL).versions[alias] == 2
    assert [move.version for move in titanic.aliases.history(MODEL) if move.job_id == job.id] == [2]


@pytest.mark.parametrize("promote", PromotionPolicy)
@pytest.mark.parametrize("params", [{}, CRIPPLED], ids=["good", "crippled"])
def test_a_training_that_runs_twice_has_the_same_result(
    titanic: LocalService, promote: PromotionPolicy, params: dict[str, Any]
) -> None:
    work = titanic.training_work(ROWS, (TARGET,), params, promote)
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)

    first = titanic.training.run(job, work, lambda progress: None)
    second = titanic.training.run(titanic.lost(job), work, lambda progress: None)

    assert first == second


@pytest.mark.parametrize("where", ["move after", "end"])
def test_a_rollback_between_two_runs_of_a_training_stays(titanic: LocalService, where: str) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    again = _lost_after_death(titanic, job, work, where)
    titanic.point(CHAMPION, 1)

    titanic.training.run(again, work, lambda progress: None)

    assert (titanic.champion(), titanic.models.versions(MODEL)) == (1, [1, 2])


def test_a_second_run_needs_no_file_if_the_first_published_the_version(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    again = _lost_after_death(titanic, job, work, "promote")
    titanic.files.delete(work.file_id)

    assert titanic.training.run(again, work, lambda progress: None).value["promoted"] is True


@pytest.mark.parametrize("promote", [PromotionPolicy.AUTO, PromotionPolicy.MANUAL])
def test_a_run_of_a_training_that_lost_its_job_moves_no_alias(titanic: LocalService, promote: PromotionPolicy) -> None:
    work = titanic.training_work(ROWS, (TARGET,), promote=promote)
    zombie = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    titanic.lost(zombie)

    with pytest.raises(JobStoppedError):
        titanic.training.run(zombie, work, lambda progress: None)

    assert titanic.aliases.read(MODEL).versions == {CHAMPION: 1}


def test_a_run_that_lost_its_job_during_the_fit_and_the_next_run_make_one_version(
    titanic: LocalService,
) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    zombie = titanic.started(JobType.TRAINING, ModelRef(MODEL, 1), work)
    later: list[Job] = []

    def report(progress: Progress) -> None:
        if progress.stage == "publish":
            later.append(titanic.lost(zombie))

    with pytest.raises(JobStoppedError):
        titanic.training.run(zombie, work, report)
    titanic.training.run(later[0], work, lambda progress: None)

    assert (titanic.models.versions(MODEL), titanic.champion()) == ([1, 2], 2)


def test_a_run_that_lost_its_job_does_not_overwrite_the_next_run(titanic: LocalService) -> None:
    work = titanic.training_work(ROWS, (TARGET,))
    job = titanic.submitted(JobType.TRAINING, ModelRef(MODEL, 1), work)
    run = titanic.runners[JobType.TRAINING]
    taken: list[Job] = []

    def run_and_lose(job: Job, work: Any, rows: bytes, report: Callable[[Progress], None]) -> Any:
        def lose_and_report(progress: Progress) -> None:
            if progress.stage == "fit":
                taken.append(titanic.lost(job))
            report(progress)

        return run(job, work, rows, lose_and_report)

    titanic.runners[JobType.TRAINING] = run_and_lose
    titanic.consumer.drain(job.lane)

    assert titanic.jobs.read_with_result(job.id) == (taken[0], None)
    assert titanic.models.versions(MODEL) == [1]


# Parameters that JSON cannot say


def test_the_keys_of_class_weight_are_the_labels_of_the_champion(titanic: LocalService) -> None:
    _trained(titanic, params={"model__class_weight": {"0": 1.0, "1": 3.0}})

    fitted = clone(FIRST).set_params(model__class_weight={0: 1.0, 1: 3.0}).fit(TRAIN, SURVIVED.iloc[SPLIT.train])
    found = titanic.answers(FEATURES, Method.PREDICT_PROBA, version=2)
    np.testing.assert_allclose(found, fitted.predict_proba(FEATURES), rtol=1e-9)


def test_a_list_becomes_a_tuple_where_the_estimator_takes_one() -> None:
    pipeline = make_pipeline(TfidfVectorizer(), MinMaxScaler(), LogisticRegression())
    params = {"tfidfvectorizer__ngram_range": [1, 2], "minmaxscaler__feature_range": [0, 2], "logisticregression__C": 2}

    found = as_estimator_takes(pipeline, params, pipeline)

    assert found == params | {"tfidfvectorizer__ngram_range": (1, 2), "minmaxscaler__feature_range": (0, 2)}
    assert as_estimator_takes(OneHotEncoder(), {"categories": [["a"]]}, None) == {"categories": [["a"]]}
