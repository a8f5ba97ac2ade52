"""Looks at features of every kind as named columns: numbers as floats, all other values as texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from worker.data_checks.check_bounds import BOUNDS

_NUMBER_KINDS = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one column.

    numbers: floats, NaN where missing or infinite; None if the values are no numbers.
    texts: otherwise the different values as texts. codes: the place of each row's value in them, -1 where missing.
    """

    numbers: Any = None
    texts: tuple[str, ...] = ()
    codes: Any = None

    @property
    def are_numbers(self) -> bool:
        return self.numbers is not None

    @property
    def n_rows(self) -> int:
        return len(self.numbers if self.are_numbers else self.codes)

    @property
    def present(self) -> Any:
        """The numbers or codes that are not missing."""
        return self.numbers[~np.isnan(self.numbers)] if self.are_numbers else self.codes[self.codes >= 0]

    @property
    def missing(self) -> float:
        """The share of missing values."""
        return 1 - len(self.present) / self.n_rows if self.n_rows else 0.0

    @property
    def is_constant(self) -> bool:
        present = self.present
        return len(present) < 2 or bool((present == present[0]).all())

    def counts(self) -> list[tuple[str, int]]:
        """The texts and their rows, the most frequent first."""
        counts = np.bincount(self.present, minlength=len(self.texts))
        order = np.argsort(-counts, kind="stable")
        return [(self.texts[at], int(counts[at])) for at in order if counts[at]]


def sample_positions(n_rows: int, most: int = BOUNDS.rows) -> Any:
    """The same rows each time: all of them, or `most` by chance. Ascending."""
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))


def columns_of(features: Any, names: Sequence[str], at: Any) -> Iterator[tuple[str, Values]]:
    """The first columns, up to the bound, of the rows `at`.

    features: a DataFrame, an array, a sparse matrix, texts or dicts. names: of a DataFrame, the columns that count; of
    an array or a matrix, all names. Texts have the column "(length)", and dicts have their keys.
    """
    frame = _frame_of(features, names, at)
    for index, name in enumerate(frame.columns):
        yield str(name), values_of(frame.iloc[:, index])


def n_columns(features: Any, names: Sequence[str]) -> int:
    return len(names) if isinstance(features, pd.DataFrame) or np.ndim(features) > 1 or issparse(features) else 1


def _frame_of(features: Any, names: Sequence[str], at: Any) -> pd.DataFrame:
    first = list(names[: BOUNDS.columns])
    if isinstance(features, pd.DataFrame):
        return features[first].iloc[at]
    if issparse(features):
        return pd.DataFrame(features.tocsc()[:, : len(first)].tocsr()[at].toarray(), columns=first)
    if isinstance(features, np.ndarray) and features.ndim > 1:
        return pd.DataFrame(features[at, : len(first)], columns=first)
    rows = features.to_numpy() if isinstance(features, pd.Series) else features
    rows = [rows[each] for each in at]
    if rows and isinstance(rows[0], dict):
        keys = list(dict.fromkeys(key for row in rows for key in row))[: BOUNDS.columns]
        return pd.DataFrame({str(key): pd.Series([row.get(key) for row in rows], dtype=object) for key in keys})
    return pd.DataFrame({"(length)": [len(row) if isinstance(row, str) else None for row in rows]}, dtype="float64")


def values_of(column: Any) -> Values:
    """column: a Series, or an array (n_rows,)."""
    column = pd.Series(column)
    numbers = _numbers_of(column)
    if numbers is not None:
        return Values(numbers=np.where(np.isfinite(numbers), numbers, np.nan))
    try:
        codes, different = pd.factorize(column)
    except TypeError:  # lists or dicts in a cell
        codes, different = pd.factorize(column.map(lambda value: None if _is_missing(value) else str(value)))
    return Values(texts=tuple(map(str, different)), codes=codes)


def _is_missing(value: Any) -> bool:
    return not isinstance(value, list | dict | tuple) and bool(pd.isna(value))


def _numbers_of(column: Any) -> Any:
    """None if the values are no numbers and no moments. Moments are seconds."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
        dtype = column.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _seconds(pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy(dtype="datetime64[us]"))
    if pd.api.types.is_timedelta64_dtype(dtype):
        return _seconds(column.to_numpy(dtype="timedelta64[us]"))
    if pd.api.types.is_object_dtype(dtype) and pd.api.types.infer_dtype(column, skipna=True) in _NUMBER_KINDS:
        return np.array([np.nan if _is_missing(value) else float(value) for value in column], dtype="float64")
    if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_complex_dtype(dtype):
        return None
    return column.to_numpy(dtype="float64", na_value=np.nan)


def _seconds(moments: Any) -> Any:
    """moments: in microseconds."""
    return np.where(np.isnat(moments), np.nan, moments.astype("int64") / 1e6)
