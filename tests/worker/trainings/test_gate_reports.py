"""How retrainings of every kind end: the verdict, the criterion behind it, and a report that says so."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture

import queuecast
from api.reports.page import training_page
from api.services.training_reports import TrainingReports
from queuecast.domain.columns.roles import ColumnRoles
from tests.worker.model_fixtures import LocalService

pytestmark = pytest.mark.filterwarnings("ignore")

PROMOTED = "and became champion"
REFUSED = "so it did not become champion"


def _rows(n_rows: int, seed: int) -> pd.DataFrame:
    """Three features, and columns for every kind of target, for groups and for times."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame(draw.normal(size=(n_rows, 3)), columns=["a", "b", "c"])
    level = 2 * rows["a"] - rows["b"] + draw.normal(size=n_rows)
    return rows.assign(
        number=level,
        other=rows["c"] + draw.normal(size=n_rows),
        label=(level > 0).astype(int),
        color=np.select([level < -1.5, level < 1.5], ["blue", "green"], "red"),
        rare=(level > 4.2).astype(int),  # about 4 % of the rows
        customer=np.arange(n_rows) // 4,
        day=seed * 100_000 + np.arange(n_rows),
    )


@dataclass(frozen=True)
class Case:
    """estimator: fitted on one file, and retrained with `params` on another, which is `changed`.

    outcomes: criteria that decide, with what they found.
    """

    estimator: Any
    target: tuple[str, ...]
    verdict: str
    outcomes: dict[str, str]
    params: dict[str, Any] = field(default_factory=dict)
    n_rows: int = 3000
    features: tuple[str, ...] = ("a", "b", "c")
    split_by: tuple[str, ...] | None = None
    roles: ColumnRoles = field(default_factory=ColumnRoles)
    changed: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows


BOOSTING = HistGradientBoostingClassifier(max_iter=20, random_state=0)
CASES = {
    "equal": Case(LogisticRegression(), ("label",), "not_worse", {"held_out": "passed"}),
    "better": Case(
        HistGradientBoostingClassifier(max_iter=2, random_state=0),
        ("label",),
        "better",
        {"held_out": "passed"},
        params={"max_iter": 50},
    ),
    "worse": Case(LogisticRegression(), ("label",), "worse", {"held_out": "worse"}, params={"C": 1e-4}),
    "tiny holdout": Case(LogisticRegression(), ("label",), "incomparable", {"rows": "incomparable"}, n_rows=200),
    "leaky column": Case(
        BOOSTING,
        ("label",),
        "incomparable",
        {"data": "incomparable"},
        changed=lambda rows: rows.assign(c=rows["label"] * 2.0 + 1),
    ),
    "rounded numbers": Case(
        LogisticRegression(),
        ("label",),
        "incomparable",
        {"comparable": "incomparable"},
        changed=lambda rows: pd.concat([_rows(3000, 0), rows]).round(2),
    ),
    "imbalanced": Case(LogisticRegression(), ("rare",), "not_worse", {"held_out": "passed"}, n_rows=20_000),
    "imbalanced and few": Case(LogisticRegression(), ("rare",), "incomparable", {"class_rows": "incomparable"}),
    "several classes": Case(LogisticRegression(max_iter=500), ("color",), "not_worse", {"held_out": "passed"}),
    "lost class": Case(
        LogisticRegression(max_iter=500),
        ("color",),
        "incomparable",
        {"classes": "incomparable"},
        changed=lambda rows: rows[rows["color"] != "red"],
    ),
    "several targets": Case(LinearRegression(), ("number", "other"), "not_worse", {"held_out": "passed"}),
    "regression": Case(LinearRegression(), ("number",), "not_worse", {"held_out": "passed"}),
    "noise": Case(
        LinearRegression(),
        ("number",),
        "incomparable",
        {"learnable": "incomparable"},
        changed=lambda rows: rows.assign(number=rows["number"].to_numpy()[::-1]),
    ),
    "density": Case(GaussianMixture(2, random_state=0), (), "not_worse", {"held_out": "passed"}),
    "outliers": Case(
        IsolationForest(n_estimators=20, random_state=0), (), "incomparable", {"comparable": "incomparable"}
    ),
    "groups": Case(
        LogisticRegression(),
        ("label",),
        "not_worse",
        {"held_out": "passed"},
        split_by=("customer",),
        roles=ColumnRoles(group="customer"),
        changed=lambda rows: rows.assign(customer=rows["customer"] + 10_000),
    ),
    "first split by groups": Case(
        LogisticRegression(),
        ("label",),
        "incomparable",
        {"comparable": "incomparable"},
        roles=ColumnRoles(group="customer"),
    ),
    "first split by time": Case(
        LogisticRegression(), ("label",), "incomparable", {"comparable": "incomparable"}, roles=ColumnRoles(time="day")
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_retraining_ends_as_the_docs_say_with_a_report(service: LocalService, name: str) -> None:
    case = CASES[name]
    _push(service, case)

    job = _trained(service, case)

    result = service.result(job)
    outcomes = {each["name"]: each["outcome"] for each in result["criteria"]}
    assert result["verdict"] == case.verdict, result["reason"]
    assert {each: outcomes[each] for each in case.outcomes} == case.outcomes
    assert result["promoted"] == (case.verdict in ("better", "not_worse")) == (service.champion() == 2)
    page = html.unescape(_page(service, job))
    assert (PROMOTED if result["promoted"] else REFUSED) in page
    assert result["reason"] in page


def test_a_file_of_another_schema_is_refused_before_the_fit(service: LocalService) -> None:
    case = CASES["equal"]
    _push(service, case)

    job = _trained(service, replace(case, changed=lambda rows: rows.drop(columns="b")))

    assert job.failure is not None
    assert (job.failure.code, service.champion()) == ("invalid_input", 1)
    assert "'b'" in job.failure.detail


def _push(service: LocalService, case: Case) -> None:
    rows = _rows(case.n_rows, 0)
    split = queuecast.holdout(rows[list(case.split_by or case.features)])
    fitted = rows[list(case.features)].iloc[split.train]
    target = rows[list(case.target)].iloc[split.train]
    y = () if not case.target else (target.to_numpy() if len(case.target) > 1 else target[case.target[0]],)
    service.result(service.pushed(case.estimator.fit(fitted, *y), fitted, case.target, split.rule))


def _trained(service: LocalService, case: Case) -> Any:
    rows = case.changed(_rows(case.n_rows, 1))
    columns = [*case.features, *case.target, *case.roles.names]
    present = rows[[name for name in columns if name in rows]]
    return service.trained(replace(service.training_work(present, case.target, case.params), roles=case.roles))


def _page(service: LocalService, job: Any) -> str:
    current, result = service.jobs.read_with_result(job.id)
    return training_page(TrainingReports(service.models).of(current, result)).html
