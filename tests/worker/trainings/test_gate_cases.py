"""Retrainings that must not be promoted although one number says so, and those that must be."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from examples.titanic.train import COLUMNS, TARGET, logistic, passengers
from queuecast.domain.gate import GateSettings
from queuecast.domain.holdout import Split
from tests.worker.model_fixtures import MODEL, LocalService, with_target

pytestmark = pytest.mark.filterwarnings("ignore")


def _payments(n_rows: int, seed: int) -> pd.DataFrame:
    """About 2.3 % of the payments are fraud, and nearly all of it can be seen."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(n_rows, 6))
    logits = 3.2 * values[:, 0] - 2.4 * values[:, 1] + 1.5 * values[:, 2] - 8.6
    target = (draw.random(n_rows) < 1 / (1 + np.exp(-logits))).astype(int)
    return pd.DataFrame(values, columns=[f"v{at}" for at in range(6)]).assign(target=target)


def _champion(
    service: LocalService, estimator: Any, rows: pd.DataFrame, target: str = "target", *, sends_held_out: bool = True
) -> Split:
    """Pushes the estimator, fitted on the rows that are not held out, and scored on the others."""
    features = rows.drop(columns=target)
    split = queuecast.holdout(features)
    fitted = estimator.fit(features.iloc[split.train], rows[target].iloc[split.train])
    held_out = rows.iloc[split.test] if sends_held_out else None
    job = service.pushed(fitted, features.iloc[split.train], (target,), split.rule, held_out=held_out)
    assert job.failure is None, job.failure
    return split


def _trained(service: LocalService, rows: pd.DataFrame, target: str = "target", **options: Any) -> dict[str, Any]:
    champion = service.champion()
    assert champion is not None
    return service.result(service.trained(service.training_work(rows, (target,), **options), champion))


def _outcome(result: dict[str, Any], name: str) -> str:
    return next(each["outcome"] for each in result["criteria"] if each["name"] == name)


def _shuffled(rows: pd.DataFrame, target: str = "target") -> pd.DataFrame:
    return rows.assign(**{target: np.random.default_rng(7).permutation(rows[target])})


@pytest.mark.parametrize("sends_held_out", [True, False], ids=["scored at the push", "not scored"])
def test_a_fraud_model_is_not_replaced_by_one_of_shuffled_labels(service: LocalService, sends_held_out: bool) -> None:
    """By accuracy the new one is better: it says that nothing is fraud."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    _champion(service, estimator, _payments(8000, 0), sends_held_out=sends_held_out)

    result = _trained(service, _shuffled(_payments(8000, 1)), params={"logisticregression__class_weight": None})

    accuracy = next(each for each in result["scores"] if each["metric"] == "accuracy")
    assert accuracy["challenger"]["value"] > accuracy["champion"]["value"]
    assert (result["verdict"], result["promoted"], service.champion()) == ("incomparable", False, 1)
    assert _outcome(result, "learnable") == "incomparable"
    assert _outcome(result, "file_agrees") == ("incomparable" if sends_held_out else "skipped")


def test_a_fraud_model_is_replaced_by_one_of_a_new_file(service: LocalService) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression())
    _champion(service, estimator, _payments(20_000, 0))

    result = _trained(service, _payments(20_000, 1))

    assert (result["metric"], result["promoted"], service.champion()) == ("roc_auc", True, 2), result["reason"]


def test_titanic_is_not_replaced_by_a_version_of_shuffled_labels(service: LocalService) -> None:
    _champion(service, logistic(), passengers(), TARGET)

    result = _trained(service, _shuffled(passengers(), TARGET), TARGET)

    assert (result["verdict"], service.champion()) == ("incomparable", 1)
    assert "this file disagrees with what is known" in next(
        each["detail"] for each in result["criteria"] if each["name"] == "file_agrees"
    )


def test_one_held_out_row_of_ten_decides_nothing(service: LocalService) -> None:
    rows = passengers()
    split = _champion(service, logistic(), rows, TARGET, sends_held_out=False)
    few = rows.iloc[[split.test[0], *split.train[:9]]]

    result = _trained(service, few, TARGET)

    assert (result["verdict"], service.champion()) == ("incomparable", 1)
    assert result["reason"] == "1 rows are held out, and a comparison needs at least 100"


def _colors(n_rows: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(n_rows, 3))
    colors = np.array(["blue", "green", "red"])[np.argmax(values + draw.normal(scale=0.3, size=values.shape), axis=1)]
    return pd.DataFrame(values, columns=["a", "b", "c"]).assign(target=colors)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[rows["target"] != "blue"], "the challenger lacks blue"),
        (
            lambda rows: rows.replace({"target": {"blue": "cyan"}}),
            "the challenger lacks blue and the challenger adds cyan",
        ),
    ],
)
def test_a_model_that_lost_or_won_a_class_is_not_promoted(service: LocalService, change: Any, words: str) -> None:
    _champion(service, LogisticRegression(), _colors(2000, 0))

    result = _trained(service, change(_colors(2000, 1)))

    assert (result["verdict"], service.champion()) == ("incomparable", 1)
    assert words in next(each["detail"] for each in result["criteria"] if each["name"] == "classes")


def test_a_regressor_that_is_worse_by_a_millionth_is_not_worse(service: LocalService) -> None:
    draw = np.random.default_rng(0)
    rows = pd.DataFrame(draw.normal(size=(3000, 3)), columns=["a", "b", "c"])
    rows["target"] = 3 * rows["a"] - rows["b"] + draw.normal(size=3000)
    _champion(service, LinearRegression(), rows.iloc[:1500])

    result = _trained(service, rows.iloc[1500:])

    difference = result["scores"][0]["difference"]
    assert result["metric"] == "r2"
    assert abs(difference["value"]) < 0.005
    assert (result["verdict"] in ("not_worse", "better"), service.champion()) == (True, 2)


def test_a_better_version_of_several_classes_is_promoted(service: LocalService) -> None:
    weak = HistGradientBoostingClassifier(max_iter=2, random_state=0)
    _champion(service, weak, _colors(2000, 0))

    result = _trained(service, _colors(2000, 1), params={"max_iter": 50})

    assert (result["verdict"], service.champion()) == ("better", 2), result["reason"]


def test_a_file_of_partly_wrong_labels_disagrees_with_what_is_known(service: LocalService) -> None:
    _champion(service, make_pipeline(StandardScaler(), LogisticRegression()), _colors(4000, 0))
    rows = _colors(4000, 1)
    wrong = np.random.default_rng(3).random(len(rows)) < 0.3

    result = _trained(service, rows.assign(target=np.where(wrong, _shuffled(rows)["target"], rows["target"])))

    assert (result["verdict"], service.champion()) == ("incomparable", 1)
    assert _outcome(result, "file_agrees") == "incomparable"


def test_a_version_that_forgot_what_earlier_files_had_is_worse(service: LocalService) -> None:
    """The new file has one kind of rows only, on which both do well."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"kind": np.arange(4000) % 2, "x": draw.normal(size=4000)})
    rows["target"] = ((rows["x"] > 0) ^ (rows["kind"] == 1)).astype(int)
    _champion(service, HistGradientBoostingClassifier(random_state=0), rows)

    result = _trained(service, rows[rows["kind"] == 0])

    assert _outcome(result, "held_out") == "passed"
    assert (result["verdict"], service.champion(), _outcome(result, "remembered")) == ("worse", 1, "worse")


# The memory of held-out rows


def test_held_out_rows_of_a_push_and_of_a_training_are_remembered(service: LocalService) -> None:
    first = _champion(service, LogisticRegression(), _colors(1000, 0))
    _trained(service, _colors(2000, 1))
    assert service.champion() == 2

    evaluation = _evaluation(service, _trained(service, _colors(1500, 2))["version"])

    second = queuecast.holdout(_colors(2000, 1).drop(columns="target"))
    assert evaluation["evidence"]["remembered"]["n_rows"] == len(first.test) + len(second.test)


def test_rows_of_a_file_that_made_no_champion_are_not_remembered(service: LocalService) -> None:
    first = _champion(service, LogisticRegression(), _colors(1000, 0))
    _trained(service, _shuffled(_colors(2000, 1)))
    assert service.champion() == 1

    evaluation = _evaluation(service, _trained(service, _colors(1500, 2))["version"])

    assert evaluation["evidence"]["remembered"]["n_rows"] == len(first.test)


def test_nothing_is_kept_or_scored_where_a_person_says_so(service: LocalService) -> None:
    _champion(service, LogisticRegression(), _colors(1000, 0))

    result = _trained(service, _colors(2000, 1), gate=GateSettings(remember=False))

    assert (result["remembered"], _outcome(result, "remembered")) == ([], "skipped")
    assert not (service.model_folder / MODEL / "2" / "held_out.json").exists()
    assert service.manifest(2).gate == GateSettings(remember=False)


def test_a_pushed_version_has_its_scores_on_its_held_out_rows(service: LocalService) -> None:
    rows = _colors(1000, 0)
    split = _champion(service, LogisticRegression(), rows)

    metrics = service.manifest(1).metrics
    held_out = rows.iloc[split.test]
    fitted = LogisticRegression().fit(rows.drop(columns="target").iloc[split.train], rows["target"].iloc[split.train])
    assert metrics["metric"] == "neg_log_loss"
    assert metrics["scores"]["accuracy"][0] == pytest.approx(
        fitted.score(held_out.drop(columns="target"), held_out["target"])
    )
    assert metrics["holdout_rows"] == len(split.test)


def test_held_out_rows_that_do_not_fit_refuse_the_push(service: LocalService) -> None:
    rows = _colors(300, 0)
    fitted = LogisticRegression().fit(rows[["a", "b", "c"]], rows["target"])

    job = service.pushed(
        fitted, rows[["a", "b", "c"]], ("target",), held_out=rows.astype({"a": object}).assign(a="much")
    )

    assert job.failure is not None
    assert job.failure.detail.startswith("the held-out rows: the file does not fit: row 1, column a")


def test_remembered_rows_keep_words_categories_and_missing_values(service: LocalService) -> None:
    split = _champion(service, logistic(), passengers(), TARGET)

    result = _trained(service, passengers(), TARGET)

    held_out = passengers().iloc[split.test]
    champion = next(each for each in result["remembered"] if each["metric"] == "accuracy")["champion"]
    fitted = logistic().fit(passengers()[COLUMNS].iloc[split.train], passengers()[TARGET].iloc[split.train])
    assert champion["value"] == pytest.approx(fitted.score(held_out[COLUMNS], held_out[TARGET]))


def _evaluation(service: LocalService, version: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((service.model_folder / MODEL / str(version) / "evaluation.json").read_text())
    return found


def test_a_target_with_missing_held_out_rows_is_named_with_its_column(service: LocalService) -> None:
    rows = with_target(_colors(300, 0)[["a", "b"]], np.where(np.arange(300) == 5, None, 1.5))
    fitted = LinearRegression().fit(rows[["a", "b"]], np.arange(300))

    job = service.pushed(fitted, rows[["a", "b"]], ("target",), held_out=rows)

    assert job.failure is not None
    assert "row 6, column target" in job.failure.detail


def test_a_column_that_gives_the_target_away_leaves_the_decision_to_a_person(service: LocalService) -> None:
    """It is worth nothing to the champion, whose file did not have it right yet."""
    rows = _colors(2000, 0).assign(shipped=np.arange(2000) % 7)
    _champion(service, HistGradientBoostingClassifier(max_iter=20, random_state=0), rows)
    new = _colors(2000, 1)
    leaky = new.assign(shipped=new["target"].map({"blue": 1, "green": 3, "red": 5}))[list(rows.columns)]

    result = _trained(service, leaky)

    assert (result["verdict"], service.champion(), _outcome(result, "data")) == ("incomparable", 1, "incomparable")
    assert "shipped" in next(each["detail"] for each in result["criteria"] if each["name"] == "data")
