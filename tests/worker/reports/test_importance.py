"""Permutation importance: as scikit-learn's, within its bounds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.metrics import r2_score

from worker.reports.importance import MAX_COLUMNS, REPEATS, ShuffledRows, importance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4))
Y = 3 * X[:, 1] + X[:, 3] + 0.1 * RNG.normal(size=400)
FOREST = RandomForestRegressor(20, random_state=0).fit(X, Y)
COLUMNS = [(at, f"x{at}") for at in range(4)]


def _r2(features: Any) -> float:
    return float(r2_score(Y, FOREST.predict(np.asarray(features))))


def test_drops_are_near_those_of_scikit_learn() -> None:
    found = importance("r2", ShuffledRows(X, COLUMNS, _r2))

    expected = permutation_importance(FOREST, X, Y, n_repeats=20, random_state=1, scoring="r2")
    drops = {each.column: each.drop for each in found.columns}
    assert [each.column for each in found.columns[:2]] == ["x1", "x3"]
    for at, name in COLUMNS:
        assert drops[name] == pytest.approx(expected.importances_mean[at], abs=0.1)
    assert (found.n_rows, found.n_columns, found.reason) == (400, 4, "")


def test_a_frame_is_shuffled_in_its_own_dtypes() -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["u", "v"] * 10), "b": pd.array([1, None] * 10, dtype="Int64")})
    seen = []

    def score(features: Any) -> float:
        seen.append(features)
        return 1.0

    importance("r2", ShuffledRows(frame, [(0, "a"), (1, "b")], score))

    assert len(seen) == 1 + 2 * REPEATS
    assert all((each.dtypes == frame.dtypes).all() and each.index.equals(frame.index) for each in seen)
    assert all(sorted(each["a"]) == sorted(frame["a"]) for each in seen)
    assert any(each["a"].tolist() != frame["a"].tolist() for each in seen)
    assert seen[0]["a"].tolist() == ["u", "v"] * 10


def test_of_many_columns_those_that_matter_are_kept() -> None:
    wide = RNG.normal(size=(50, 45))
    columns = [(at, f"x{at}") for at in range(45)]

    def weighted(features: Any) -> float:
        """The more a column has moved, and the later it is, the worse."""
        return float(-np.abs(features[0] - wide[0]) @ np.arange(45))

    rows = ShuffledRows(wide, columns, weighted)

    found = importance("r2", rows)

    assert (len(found.columns), found.n_columns, found.reason) == (MAX_COLUMNS, 45, "")
    assert "x44" in {each.column for each in found.columns}


def test_columns_that_the_time_does_not_allow_are_counted() -> None:
    seconds: Iterator[float] = iter(np.arange(0.0, 1000.0))

    found = importance("r2", ShuffledRows(X, COLUMNS, _r2), limit_s=5.0, clock=lambda: next(seconds))

    assert [each.column for each in found.columns] == ["x1", "x0"]
    assert found.reason == "2 columns were not tried: the time was over"


def test_a_metric_that_has_no_score_has_no_importance() -> None:
    found = importance("roc_auc", ShuffledRows(X, COLUMNS, lambda _: float("nan")))

    assert (found.columns, found.reason) == ((), "roc_auc cannot be computed on these rows")
