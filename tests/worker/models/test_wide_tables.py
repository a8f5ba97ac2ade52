"""What it costs to learn the signature of a wide table: a bounded number of calls, whatever the number of columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.signature import Signature
from worker.models.learning.nullability import search
from worker.models.signatures import learn_signature

pytestmark = pytest.mark.filterwarnings("ignore")


class CountingSum(BaseEstimator):
    """Sums the columns, and counts its calls and the cells that it was given."""

    def __init__(self, takes_missing: bool = True) -> None:
        self.takes_missing = takes_missing
        self.calls = 0
        self.cells = 0

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        self.calls += 1
        self.cells += X.shape[0] * X.shape[1]
        values = np.asarray(X, dtype="float64")
        if not self.takes_missing and np.isnan(values).any():
            raise ValueError("X contains NaN")
        return np.nansum(values, axis=1)


def numbers(n_columns: int, dtype: str = "float64") -> pd.DataFrame:
    values = np.arange(20 * n_columns).reshape(20, n_columns) % 97
    return pd.DataFrame(values.astype(dtype), columns=[f"c{at}" for at in range(n_columns)])


def nullable_names(signature: Signature) -> list[str]:
    return [column.name for column in signature.columns if column.nullable]


@pytest.mark.parametrize("dtype", ["float64", "int64"])
@pytest.mark.parametrize("takes_missing", [True, False])
def test_the_calls_do_not_grow_with_the_columns(dtype: str, takes_missing: bool) -> None:
    calls = []
    for n_columns in (300, 1200):
        estimator = CountingSum(takes_missing)
        signature, _ = learn_signature(estimator, numbers(n_columns, dtype))
        assert len(nullable_names(signature)) == (n_columns if takes_missing else 0)
        calls.append(estimator.calls)

    assert calls[0] == calls[1] <= 10


def test_an_array_costs_the_same_calls() -> None:
    estimator = CountingSum(takes_missing=False)

    learn_signature(estimator, numbers(1000).to_numpy())

    assert estimator.calls <= 10


@pytest.mark.parametrize("n_columns", [40, 600])
def test_the_imputed_columns_of_a_wide_table_are_found_wherever_they_are(n_columns: int) -> None:
    frame = numbers(n_columns)
    imputed = list(frame.columns[::3])
    columns = ColumnTransformer([("imputed", SimpleImputer(), imputed)], remainder="passthrough")
    estimator = make_pipeline(columns, LinearRegression()).fit(frame, np.arange(20))

    signature, _ = learn_signature(estimator, frame)

    assert nullable_names(signature) == imputed


def test_columns_that_had_missing_values_take_them_whatever_the_others_do() -> None:
    frame = numbers(600)
    holed = list(frame.columns[5::7])
    frame.loc[3, holed] = np.nan

    class TakesOnlyHoled(CountingSum):
        def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
            if X.drop(columns=holed).isna().to_numpy().any():
                raise ValueError("X contains NaN")
            return super().predict(X)

    estimator = TakesOnlyHoled()
    signature, _ = learn_signature(estimator, frame)

    assert nullable_names(signature) == holed
    assert estimator.calls <= 12


@pytest.mark.parametrize("refused", [{0}, {17}, {99}, {1, 2, 50}, set(range(50)), set(range(0, 100, 2))])
def test_a_search_among_few_columns_is_exact(refused: set[int]) -> None:
    found = search(lambda group: not refused & set(group), [range(100)])

    assert found == set(range(100)) - refused


@pytest.mark.parametrize("refused", [{0}, {5000}, set(range(3000)), set(range(0, 7000, 2)), set(range(7000))])
def test_a_search_among_many_columns_has_a_bound_and_finds_no_refused_column(refused: set[int]) -> None:
    calls = 0

    def accepts(group: Sequence[int]) -> bool:
        nonlocal calls
        calls += 1
        return not refused & set(group)

    found = search(accepts, [range(7000)])

    assert calls <= 202
    assert not found & refused
    if len(refused) == 1:
        assert found == set(range(7000)) - refused


def mixed(n_columns: int) -> pd.DataFrame:
    """Every column holds None and NaN."""
    values = [None, np.nan, "a", "b"] * 5
    return pd.DataFrame({f"c{at}": pd.Series(values, dtype=object) for at in range(n_columns)})


class TellsNoneFromNan(BaseEstimator):
    """Counts its calls; answers None otherwise than NaN in one column."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.calls = 0

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        self.calls += 1
        if self.name is None:
            return np.zeros(len(X))
        return np.array([1.0 if value is None else 0.0 for value in X[self.name]])


def test_columns_with_none_and_nan_are_compared_in_few_calls() -> None:
    estimator = TellsNoneFromNan(None)

    learn_signature(estimator, mixed(300))

    assert estimator.calls <= 10


@pytest.mark.parametrize("name", ["c0", "c211", "c299"])
def test_the_column_whose_none_and_nan_differ_is_named(name: str) -> None:
    estimator = TellsNoneFromNan(name)

    with pytest.raises(ModelRefusedError, match=f"column '{name}' holds nan and None"):
        learn_signature(estimator, mixed(300))

    assert estimator.calls <= 40


class CountingEncoder(OneHotEncoder):
    calls = 0

    def transform(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        type(self).calls += 1
        return super().transform(X)


def test_an_encoder_of_a_wide_table_runs_once_for_all_methods_and_for_trials_with_other_columns() -> None:
    frame = numbers(600).assign(**{f"w{at}": ["a", "b"] * 10 for at in range(300)})
    words = [name for name in frame if name.startswith("w")]
    encoded = ("words", CountingEncoder(handle_unknown="ignore"), words)
    columns = ColumnTransformer([encoded, ("numbers", StandardScaler(), list(frame.columns[:600]))])
    estimator = make_pipeline(columns, LogisticRegression()).fit(frame, [0, 1] * 10)
    expected = {name: getattr(estimator, name)(frame).tolist() for name in ("predict", "predict_proba")}
    CountingEncoder.calls = 0

    signature, golden = learn_signature(estimator, frame)

    # The example rows, five rows without their words, and five rows as they are.
    assert CountingEncoder.calls == 3
    assert nullable_names(signature) == words
    assert {name: golden.outputs[name] for name in expected} == expected
    assert "transform" not in vars(columns.named_transformers_["words"])


def test_a_wide_encoder_that_tells_none_from_nan_is_found() -> None:
    frame = mixed(600)
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(frame, [0, 1] * 10)

    with pytest.raises(ModelRefusedError, match="holds nan and None"):
        learn_signature(estimator, frame)


def test_a_step_that_works_in_place_gets_its_own_copy() -> None:
    frame = numbers(600)
    estimator = make_pipeline(StandardScaler(), MinMaxScaler(copy=False), LogisticRegression()).fit(frame, [0, 1] * 10)
    expected = estimator.predict_proba(frame)

    _, golden = learn_signature(estimator, frame)

    assert golden.outputs["predict_proba"] == pytest.approx(expected)
