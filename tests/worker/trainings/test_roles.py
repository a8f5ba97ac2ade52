"""Trainings whose request says what columns are for: weights, groups, times, ids, and columns of the split."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

import queuecast
from queuecast.domain.columns.roles import ColumnRoles
from queuecast.domain.holdout import TIME_METHOD, HoldoutRule, Split
from queuecast.domain.job import Job, State
from queuecast.domain.reports import REPORT_FILE, TrainingFacts
from queuecast.domain.work import AcceptedFile, OnError, TrainingWork
from tests.worker.model_fixtures import MODEL, LocalService

pytestmark = pytest.mark.filterwarnings("ignore")

FEATURES = ["age", "income"]


def _customers(n_rows: int = 800, seed: int = 0) -> pd.DataFrame:
    """Several rows of each customer, one a day."""
    draw = np.random.default_rng(seed)
    age, income = draw.normal(size=n_rows), draw.normal(size=n_rows)
    rows = pd.DataFrame({"age": age, "income": income})
    rows["spent"] = age - income + draw.normal(scale=0.5, size=n_rows)
    rows["customer_id"] = [f"c{number:04}" for number in draw.integers(0, n_rows // 5, n_rows)]
    rows["day"] = pd.date_range("2026-01-01", periods=n_rows, freq="h").strftime("%Y-%m-%dT%H:%M:%S")
    return rows


def _pushed(service: LocalService, split: Split | None, rows: pd.DataFrame, estimator: Any = None) -> None:
    train = rows if split is None else rows.iloc[split.train]
    fitted = (estimator or Ridge()).fit(train[FEATURES], train["spent"])
    job = service.pushed(fitted, train[FEATURES], ("spent",), None if split is None else split.rule)
    assert job.failure is None, job.failure


def _work(service: LocalService, rows: pd.DataFrame, **fields: Any) -> TrainingWork:
    stored = service.stored(rows.to_csv(index=False).encode())
    return TrainingWork(stored.id, stored.sha256, ("spent",), **fields)


def _trained(service: LocalService, work: TrainingWork) -> Job:
    champion = service.champion()
    assert champion is not None
    return service.trained(work, champion)


# Columns of the split that are no features


def test_a_split_by_a_column_that_is_no_feature_is_repeated_by_a_training(service: LocalService) -> None:
    rows = _customers()
    split = queuecast.holdout(rows, columns=["customer_id"])
    _pushed(service, split, rows)

    result = service.result(_trained(service, _work(service, rows)))

    assert (result["verdict"], result["promoted"]) == ("not_worse", True), result["reason"]
    assert result["rows"] == {"train": len(split.train), "holdout": len(split.test), "bad": 0}
    assert service.manifest(2).holdout == split.rule


def test_a_split_by_all_columns_of_a_wider_table_is_repeated_in_every_format(service: LocalService) -> None:
    rows = _customers(600)
    split = queuecast.holdout(rows)
    _pushed(service, split, rows)
    csv = service.stored(rows.to_csv(index=False).encode())
    ndjson = service.stored(rows.to_json(orient="records", lines=True).encode(), "application/x-ndjson")
    parquet = service.stored(rows.to_parquet(index=False), "application/vnd.apache.parquet")

    works = [TrainingWork(each.id, each.sha256, ("spent",)) for each in (csv, ndjson, parquet)]

    results = [service.result(service.trained(work)) for work in works]

    assert [result["rows"]["holdout"] for result in results] == [len(split.test)] * 3


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson", "application/vnd.apache.parquet"])
def test_a_file_without_the_column_of_the_split_is_refused_before_the_fit(
    service: LocalService, media_type: str
) -> None:
    rows = _customers(300)
    _pushed(service, queuecast.holdout(rows, columns=["customer_id"]), rows)
    lacking = rows.drop(columns="customer_id")
    data = {
        "text/csv": lambda: lacking.to_csv(index=False).encode(),
        "application/x-ndjson": lambda: lacking.to_json(orient="records", lines=True).encode(),
        "application/vnd.apache.parquet": lambda: lacking.to_parquet(index=False),
    }[media_type]()
    stored = service.stored(data, media_type)

    job = _trained(service, TrainingWork(stored.id, stored.sha256, ("spent",)))

    assert job.failure is not None
    assert (job.failure.code, "no column 'customer_id'" in job.failure.detail) == ("invalid_input", True)


def test_an_old_rule_takes_no_column_that_is_no_feature(service: LocalService) -> None:
    rows = _customers(300)
    rule = HoldoutRule(0.2, ("customer_id",), "rowhash-v1")
    fitted = Ridge().fit(rows[FEATURES], rows["spent"])

    job = service.pushed(fitted, rows[FEATURES], ("spent",), rule)

    assert job.failure is not None
    assert "split by the column 'customer_id', which the model does not take" in job.failure.detail


# Groups


def test_a_group_is_never_split(service: LocalService) -> None:
    rows = _customers()
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)

    result = service.result(_trained(service, _work(service, rows, roles=ColumnRoles(group="customer_id"))))

    expected = queuecast.holdout(rows, columns=["customer_id"])
    fitted_on = set(rows["customer_id"].iloc[expected.train])
    assert fitted_on.isdisjoint(rows["customer_id"].iloc[expected.test])
    assert result["rows"]["holdout"] == len(expected.test)
    assert service.manifest(2).holdout == expected.rule


def test_a_new_split_by_group_is_incomparable_once(service: LocalService) -> None:
    rows = _customers()
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)
    work = _work(service, rows, roles=ColumnRoles(group="customer_id"))
    first = service.result(_trained(service, work))
    service.point("champion", 2)

    second = service.result(_trained(service, work))

    assert (first["verdict"], second["verdict"]) == ("incomparable", "not_worse")
    assert "version 1 was split by age, income and this version by customer_id" in first["reason"]


def test_a_search_splits_by_the_groups_too(service: LocalService) -> None:
    rows = _customers(600)
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=GroupKFold(3))
    split = queuecast.holdout(rows, columns=["customer_id"])
    train = rows.iloc[split.train]
    fitted = search.fit(train[FEATURES], train["spent"], groups=train["customer_id"])
    service.result(service.pushed(fitted, train[FEATURES], ("spent",), split.rule))

    with_groups = _trained(service, _work(service, rows, roles=ColumnRoles(group="customer_id")))
    without = service.trained(_work(service, rows))

    assert with_groups.state is State.SUCCEEDED, with_groups.failure
    assert without.failure is not None
    assert "'groups' parameter should not be None" in without.failure.detail


# Weights


@pytest.mark.parametrize("is_pipeline", [False, True])
def test_weights_go_to_the_fit(service: LocalService, is_pipeline: bool) -> None:
    rows = _customers(800).assign(weight=lambda frame: np.where(frame["spent"] > 0, 9.0, 0.5))
    estimator = make_pipeline(StandardScaler(), Ridge()) if is_pipeline else Ridge()
    split = queuecast.holdout(rows[FEATURES])
    _pushed(service, split, rows, estimator)
    train = rows.iloc[split.train]
    argument = "ridge__sample_weight" if is_pipeline else "sample_weight"
    expected = estimator.fit(train[FEATURES], train["spent"], **{argument: train["weight"]})

    service.result(_trained(service, _work(service, rows, roles=ColumnRoles(weight="weight"))))

    found = service.estimators.load(service.manifest(2))
    np.testing.assert_allclose(found.predict(rows[FEATURES]), expected.predict(rows[FEATURES]), rtol=1e-9)


def test_scores_with_weights_are_compared_with_earlier_ones_that_had_weights(service: LocalService) -> None:
    """The champion is bad where rows have much weight, and its earlier score counted all rows alike."""
    rows = _customers(800).assign(weight=lambda frame: np.where(frame["age"] > 1, 50.0, 0.1))
    rows.loc[rows["age"] > 1, "spent"] += np.random.default_rng(1).normal(scale=3, size=int((rows["age"] > 1).sum()))
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)
    plain = service.result(_trained(service, _work(service, rows)))
    weighted = _work(service, rows, roles=ColumnRoles(weight="weight"))

    first = service.result(_trained(service, weighted))
    service.point("champion", first["version"])
    second = service.result(_trained(service, weighted))

    agrees = [next(c for c in result["criteria"] if c["name"] == "file_agrees") for result in (first, second)]
    assert (plain["promoted"], [each["outcome"] for each in agrees]) == (True, ["skipped", "passed"])
    assert (first["remembered"], bool(second["remembered"])) == ([], True)


def test_the_importance_of_columns_is_weighted(service: LocalService) -> None:
    """Rows whose income decides have no weight, so income does not matter."""
    rows = _customers(800)
    is_young = rows["age"] < 0
    rows["spent"] = np.where(is_young, rows["age"], 30 * rows["income"])
    rows["weight"] = np.where(is_young, 1.0, 0.0)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows, DecisionTreeRegressor(random_state=0))
    drops = {}

    for weight in ("weight", None):
        version = service.result(_trained(service, _work(service, rows, roles=ColumnRoles(weight=weight))))["version"]
        facts = msgspec.json.decode(service.models.file(MODEL, version, REPORT_FILE), type=TrainingFacts)
        assert facts.is_weighted is (weight is not None)
        assert facts.importance is not None
        drops[weight] = {each.column: each.drop for each in facts.importance.columns}

    assert drops["weight"]["age"] > 10 * abs(drops["weight"]["income"])
    assert drops[None]["income"] > drops[None]["age"]


def test_an_estimator_that_takes_no_weights_says_so(service: LocalService) -> None:
    rows = _customers(300).assign(weight=1.0)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows, KNeighborsRegressor())

    job = _trained(service, _work(service, rows, roles=ColumnRoles(weight="weight")))

    assert job.failure is not None
    assert job.failure.findings[0].pointer == "/weight_column"
    assert job.failure.findings[0].detail == "KNeighborsRegressor takes no sample weights"


def test_weights_that_are_no_weights_are_named(service: LocalService) -> None:
    rows = _customers(300).assign(weight=1.0).astype({"weight": object})
    rows.loc[[4, 7, 9], "weight"] = [-1, None, "much"]
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)

    job = _trained(service, _work(service, rows, roles=ColumnRoles(weight="weight")))

    assert job.failure is not None
    assert [(each.pointer, each.code, each.found) for each in job.failure.findings] == [
        ("row 5, column weight", "wrong_type", "'-1'"),
        ("row 8, column weight", "null", "an empty cell"),
        ("row 10, column weight", "wrong_type", "'much'"),
    ]


def test_rows_with_a_bad_weight_can_be_left_out(service: LocalService) -> None:
    rows = _customers(300).assign(weight=1.0)
    rows.loc[[4, 7], "weight"] = -1.0
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)

    result = service.result(
        _trained(service, _work(service, rows, roles=ColumnRoles(weight="weight"), on_error=OnError.SKIP))
    )

    assert [(cell["row"], cell["column"]) for cell in result["bad_cells"]] == [(5, "weight"), (8, "weight")]


# Time


def test_the_newest_rows_are_held_out(service: LocalService) -> None:
    rows = _customers(500).sample(frac=1, random_state=0)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)

    result = service.result(_trained(service, _work(service, rows, roles=ColumnRoles(time="day"))))

    cutoff = rows["day"].sort_values().iloc[400]
    assert result["rows"] == {"train": 400, "holdout": 100, "bad": 0}
    assert service.manifest(2).holdout == HoldoutRule(0.2, ("day",), TIME_METHOD, f"{cutoff}.000000Z")


def test_a_champion_that_was_split_by_time_is_comparable_on_newer_rows_only(service: LocalService) -> None:
    rows = _customers(800)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)
    early, late = rows.iloc[:550], rows
    first = service.result(_trained(service, _work(service, early, roles=ColumnRoles(time="day"))))
    service.point("champion", 2)

    newer = service.result(_trained(service, _work(service, late)))
    service.point("champion", newer["version"])
    older = service.result(_trained(service, _work(service, early)))

    assert (first["verdict"], newer["verdict"], older["verdict"]) == ("incomparable", "not_worse", "incomparable")
    assert "Train on a file with newer rows" in older["reason"]


# Ids


def test_an_id_is_no_feature_and_is_not_ignored(service: LocalService) -> None:
    rows = _customers(300)
    array = rows[FEATURES].to_numpy()
    fitted = DummyRegressor().fit(array, rows["spent"])
    service.result(service.pushed(fitted, array, ("spent",)))
    stored = service.stored(rows[["customer_id", *FEATURES, "spent"]].to_parquet(), "application/vnd.apache.parquet")

    job = _trained(service, TrainingWork(stored.id, stored.sha256, ("spent",), roles=ColumnRoles(id="customer_id")))

    assert (job.state, job.ignored_columns) == (State.SUCCEEDED, None), job.failure


# Several files


def test_files_of_several_formats_are_one_table(service: LocalService) -> None:
    rows = _customers(780)
    split = queuecast.holdout(rows[FEATURES])
    _pushed(service, split, rows)
    whole = service.result(service.trained(_work(service, rows)))
    parts = [rows.iloc[:300], rows.iloc[300:600], rows.iloc[600:]]
    files = [
        service.stored(parts[0].to_csv(index=False).encode(), "text/csv", "a.csv"),
        service.stored(parts[1].to_json(orient="records", lines=True, double_precision=15).encode(), "", "b.ndjson"),
        service.stored(parts[2].to_parquet(index=False), "", "c.parquet"),
    ]
    first, *others = [AcceptedFile(file.id, file.sha256) for file in files]

    work = TrainingWork(first.id, first.sha256, ("spent",), more_files=tuple(others))
    found = service.result(service.trained(work))

    assert found["rows"] == whole["rows"]
    assert found["challenger"]["score"] == pytest.approx(whole["challenger"]["score"])
    lineage = service.manifest(3).lineage
    assert lineage is not None
    assert lineage.more_files_sha256 == (files[1].sha256, files[2].sha256)


def test_a_bad_cell_is_named_with_its_file(service: LocalService) -> None:
    rows = _customers(300)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)
    bad = rows.astype({"age": object})
    bad.loc[2, "age"] = "old"
    files = [
        service.stored(frame.to_csv(index=False).encode(), "text/csv", name)
        for frame, name in ((rows, "may.csv"), (bad, "june.csv"))
    ]
    accepted = (AcceptedFile(files[1].id, files[1].sha256),)

    job = _trained(service, TrainingWork(files[0].id, files[0].sha256, ("spent",), more_files=accepted))

    assert job.failure is not None
    assert [each.pointer for each in job.failure.findings] == ["june.csv, row 3, column age"]


def test_a_file_without_a_column_is_named(service: LocalService) -> None:
    rows = _customers(300)
    _pushed(service, queuecast.holdout(rows[FEATURES]), rows)
    files = [
        service.stored(frame.to_csv(index=False).encode(), "text/csv", name)
        for frame, name in ((rows, "may.csv"), (rows.drop(columns="income"), "june.csv"))
    ]
    accepted = (AcceptedFile(files[1].id, files[1].sha256),)

    job = _trained(service, TrainingWork(files[0].id, files[0].sha256, ("spent",), more_files=accepted))

    assert job.failure is not None
    assert job.failure.detail.startswith("june.csv: the file has no column 'income'")


def test_a_training_of_several_targets_takes_weights_and_groups(service: LocalService) -> None:
    rows = _customers(600).assign(weight=2.0)
    rows["saved"] = rows["income"] - rows["spent"]
    split = queuecast.holdout(rows, columns=["customer_id"])
    train = rows.iloc[split.train]
    fitted = Ridge().fit(train[FEATURES], train[["spent", "saved"]])
    service.result(service.pushed(fitted, train[FEATURES], ("spent", "saved"), split.rule))
    stored = service.stored(rows.to_csv(index=False).encode())
    roles = ColumnRoles(weight="weight", group="customer_id")

    result = service.result(service.trained(TrainingWork(stored.id, stored.sha256, ("spent", "saved"), roles=roles)))

    assert (result["verdict"], result["rows"]["holdout"]) == ("not_worse", len(split.test)), result["reason"]
