"""The rule of a split, its result, and the function that splits."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from queuecast.domain.holdout import rowhash_v1, rowhash_v2
from queuecast.domain.holdout.row_source import read_source

METHOD = "rowhash-v2"
METHODS = (rowhash_v1.METHOD, METHOD)
"""A version keeps the method that it was split by, and so do the versions that are retrained from it."""
TIME_METHOD = "time-v1"
"""The newest rows are held out. Only trainings split so, by a column that their request names."""
DEFAULT_FRACTION = 0.2  # like scikit-learn's examples of train_test_split


@dataclass(frozen=True, slots=True)
class HoldoutRule:
    """The parameters that repeat a split. No `columns` means all columns of the signature.

    cutoff: of a split by time, the time of the oldest held-out row: a number, or ISO 8601 in UTC.
    """

    fraction: float = DEFAULT_FRACTION
    columns: tuple[str, ...] = ()
    method: str = METHOD
    cutoff: str = ""

    @property
    def is_by_time(self) -> bool:
        return self.method == TIME_METHOD


def decides_by_meaning(rule: HoldoutRule) -> bool:
    """Whether cells count by their meaning, so that they can be compared before they get the type of their column."""
    return rule.method != rowhash_v1.METHOD


@dataclass(frozen=True, slots=True, repr=False)
class Split:
    """Row positions of each side, for `X.iloc[split.train]` or `X[split.train]`, and the rule behind them."""

    train: list[int]
    test: list[int]
    rule: HoldoutRule

    def __repr__(self) -> str:
        rows = len(self.train) + len(self.test)
        return f"<Split of {rows:,} rows: {len(self.train):,} train, {len(self.test):,} test ({self.rule.method})>"

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


def holdout(
    rows: Any, fraction: float = DEFAULT_FRACTION, columns: Sequence[str] | None = None, method: str = METHOD
) -> Split:
    """Splits rows in the same way as a retraining.

    rows: a pandas or polars DataFrame, a 2-D array, a sparse matrix, a Series or list of texts, or a list of dicts or
    lists; only the features, without the target.
    columns: the columns that decide, by default all of them. Equal rows always land on the same side.
    method: rowhash-v2, or rowhash-v1 to repeat the split of a model that was pushed with it.
    Raises TypeError for another kind of rows, and ValueError when `fraction` is not within (0, 1) or a column is
    missing.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}, expected a number between 0 and 1")
    if method not in METHODS:
        raise ValueError(f"method is {method!r}, expected {' or '.join(METHODS)}")
    source = read_source(rows)
    if method == rowhash_v1.METHOD:
        chosen, hashes = rowhash_v1.hash_rows(rows, columns)
    else:
        chosen, hashes = rowhash_v2.hash_rows(source, columns)
    limit = int(fraction * 2**64)
    split = Split([], [], HoldoutRule(fraction, chosen, method))
    for position, row_hash in enumerate(hashes):
        (split.test if row_hash < limit else split.train).append(position)
    return split
