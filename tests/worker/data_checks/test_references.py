"""The reference of a version: bins and shares of its columns, for rows of every kind, bounded in bytes."""

import datetime as dt
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import queuecast
from queuecast.domain.trainings.reference import REFERENCE_FILE, Distribution, Reference
from tests.worker.model_fixtures import MODEL, LocalService, with_target
from worker.data_checks.check_bounds import BOUNDS
from worker.data_checks.feature_columns import values_of
from worker.data_checks.references import learn_distribution, learn_reference, shares_by

X = np.random.default_rng(0).normal(size=(600, 2))
Y = (X[:, 0] + np.random.default_rng(1).normal(size=600) > 0).astype(int)


def test_bins_of_numbers_have_equal_shares_and_room_for_lower_and_higher_ones() -> None:
    numbers = np.arange(1000.0)

    found = learn_distribution(values_of(numbers))

    assert found.shares[0] == found.shares[-1] == 0
    np.testing.assert_allclose(found.shares[2:-1], 0.05, atol=0.002)
    assert shares_by(found, values_of(np.array([-5.0, 2000.0])))[:: len(found.shares) - 1] == [0.5, 0.5]
    assert (found.mean, found.std) == (numbers.mean(), numbers.std())


def test_a_constant_has_a_bin_of_its_own() -> None:
    found = learn_distribution(values_of(np.full(50, 3.0)))

    assert found.shares == (0.0, 1.0, 0.0)
    assert shares_by(found, values_of(np.array([2.9, 3.0, 3.0, 3.1]))) == [0.25, 0.5, 0.25]


def test_the_largest_numbers_can_be_written_and_read() -> None:
    reference = learn_reference(np.array([[-1.7976931348623157e308], [1.7e308], [1.7e308]]), ["x"])

    assert msgspec.json.decode(msgspec.json.encode(reference), type=Reference) == reference
    assert reference.columns["x"].std is None


def test_the_most_frequent_values_are_kept_and_all_others_are_one_share() -> None:
    values = [f"v{index}" for index in range(60) for _ in range(60 - index)]

    found = learn_distribution(values_of(pd.Series(values, dtype=object)))

    assert found.categories == tuple(f"v{index}" for index in range(50))
    assert found.shares[-1] == pytest.approx(sum(range(11)) / len(values), abs=1e-6)
    assert sum(found.shares) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.Series([True, False, None], dtype="boolean"), [1, 0, np.nan]),
        (pd.Series([True, False]), [1, 0]),
        (pd.Series([1.5, np.inf]), [1.5, np.nan]),
        (pd.Series([1, 2.5, None], dtype=object), [1, 2.5, np.nan]),
        (pd.Series([0, 7], dtype=pd.SparseDtype("int64")), [0, 7]),
        (pd.Series(pd.to_datetime(["1970-01-02", None])), [86400, np.nan]),
        (pd.Series(pd.to_datetime(["1970-01-02T02:00+02:00"])), [86400]),
        (pd.Series([dt.timedelta(minutes=1)]), [60]),
        (pd.Series([1.0, None], dtype="double[pyarrow]"), [1, np.nan]),
        (pd.Series([dt.datetime(1970, 1, 2)], dtype="timestamp[us][pyarrow]"), [86400]),
        (pd.Series([dt.date(1970, 1, 2), None], dtype="date32[pyarrow]"), [86400, np.nan]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pd.Series) else "",
)
def test_numbers_and_moments_are_floats(column: Any, expected: list[float]) -> None:
    np.testing.assert_array_equal(values_of(column).numbers, expected)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series(["a", None, "NA"]), ["a", None, "NA"]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        (pd.Series([1, 2], dtype="category"), ["1", "2"]),
        (pd.Series([dt.date(2026, 1, 2), None], dtype=object), ["2026-01-02", None]),
        (pd.Series([[1, 2], {"a": 1}], dtype=object), ["[1, 2]", "{'a': 1}"]),
        (pd.Series(["a", None], dtype="string[pyarrow]"), ["a", None]),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pd.Series) else "",
)
def test_other_values_are_texts(column: Any, expected: list[str | None]) -> None:
    found = values_of(column)

    assert [None if code < 0 else found.texts[code] for code in found.codes] == expected


@pytest.mark.parametrize(
    ("features", "names", "columns"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), ["b"], ["b"]),
        (np.ones((3, 2)), ["x0", "x1"], ["x0", "x1"]),
        (csr_matrix(np.eye(3)), ["x0", "x1", "x2"], ["x0", "x1", "x2"]),
        (["a text", "another"], ["text"], ["(length)"]),
        (np.array(["a text", "another"]), ["text"], ["(length)"]),
        ([{"a": 1, "b": "x"}, {"a": 2}], ["row"], ["a", "b"]),
    ],
    ids=["frame", "array", "sparse", "texts", "array of texts", "dicts"],
)
def test_rows_of_every_kind_have_columns(features: Any, names: list[str], columns: list[str]) -> None:
    assert list(learn_reference(features, names).columns) == columns


def test_a_wide_table_and_long_names_are_bounded() -> None:
    names = [f"column {index}" for index in range(500)]
    wide = learn_reference(np.random.default_rng(0).normal(size=(50, 500)), names)
    words = pd.DataFrame({name: [f"{name} {'x' * 500} {row}" for row in range(60)] for name in names})
    long = learn_reference(words, names)

    assert len(wide.columns) == BOUNDS.columns
    assert 0 < len(long.columns) < BOUNDS.columns
    assert max(len(msgspec.json.encode(reference)) for reference in (wide, long)) < 260 * 1024


def _reference(service: LocalService, version: int) -> Reference:
    return msgspec.json.decode(service.models.file(MODEL, version, REFERENCE_FILE), type=Reference)


def test_each_version_has_a_reference_of_the_rows_of_its_fit(service: LocalService) -> None:
    split = queuecast.holdout(X)
    model = make_pipeline(StandardScaler(), KMeans(3, random_state=0)).fit(X[split.train], Y[split.train])
    service.pushed(model, X[split.train], holdout=split.rule)
    service.result(service.trained(service.training_work(with_target(X + 1, Y))))

    pushed, trained = _reference(service, 1), _reference(service, 2)

    assert (pushed.n_rows, list(pushed.columns), pushed.target) == (len(split.train), ["x0", "x1"], ())
    moved = queuecast.holdout(X + 1).train
    assert trained.n_rows == len(moved)
    assert trained.columns["x0"].mean == pytest.approx((X + 1)[moved, 0].mean())
    assert trained.target == (learn_distribution(values_of(Y[moved])),)


def test_a_push_with_held_out_rows_has_their_targets(service: LocalService) -> None:
    split = queuecast.holdout(X)
    model = KMeans(3, random_state=0).fit(X[split.train])
    held_out = with_target(X[split.test], Y[split.test])

    service.result(service.pushed(model, X[split.train], holdout=split.rule, held_out=held_out))

    found = _reference(service, 1)
    assert (found.target, found.target_rows) == ((learn_distribution(values_of(Y[split.test])),), len(split.test))
    assert (found.duplicates, found.conflicts) == (None, None)


def test_missing_values_are_a_share_of_all_rows() -> None:
    assert learn_distribution(values_of(pd.Series([1.0, np.nan, np.nan, 4.0]))).missing == 0.5
    assert learn_distribution(values_of(pd.Series([None, None], dtype=object))) == Distribution(1.0)
