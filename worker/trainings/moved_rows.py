"""Finds rows that a champion was fitted on among the held-out rows, in a file that has their numbers rounded.

A row's side depends on its values, so a row with rounded numbers may change sides. The version's golden rows are some
of the rows that it was fitted on. Rounded as the file is, they must not be among the held-out rows.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from queuecast.domain.columns.labels import numbered
from queuecast.domain.holdout import Split, holdout
from queuecast.domain.holdout.row_source import read_source
from queuecast.domain.holdout.rowhash_v2 import hash_rows
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Layout
from worker.labelled.holdout_columns import features_for_rule
from worker.labelled.training_rows import TrainingRows
from worker.models.frames import frame_of

MOST_DIGITS = 12  # a number with more is as it was computed

Round = Callable[[Any, int], Any]


def count_moved_rows(known: list[Any], champion: Manifest, rows: TrainingRows, split: Split) -> int:
    """How many of the rows `known` the file has among its held-out rows, with rounded numbers.

    A single one may be another row that looks alike by chance, so it counts as none.
    """
    layout, names = champion.signature.layout, list(split.rule.columns)
    are_dicts = layout is Layout.OBJECT
    has_names = layout is not Layout.TEXT and (names or are_dicts)
    is_by_features = not (split.rule.is_by_time or rows.outside)
    if champion.holdout is None or not (known and split.test and has_names and is_by_features):
        return 0
    columns = tuple(replace(column, read=True) for column in champion.signature.columns)
    signature = replace(champion.signature, columns=columns)
    features = _frame(frame_of(signature, known), champion, names)
    found = rows.split_features().iloc[split.test] if rows.unread else rows.take_features(split.test)
    held_out = _frame(found, champion, names)
    if are_dicts:  # each row has the keys that it has
        names = names or list(dict.fromkeys([*features.columns, *held_out.columns]))
        features, held_out = features.reindex(columns=names), held_out.reindex(columns=names)
    if not names:
        return 0
    fitted = features.iloc[holdout(features, split.rule.fraction, names, split.rule.method).train][names]
    held_out = held_out[names]
    tried = [_rounded_alike(fitted, held_out, rounding) for rounding in (_to_decimals, _to_significant_digits)]
    candidates = [rounded for rounded in tried if rounded is not None]
    if not candidates:
        return 0
    before, there = _hashes(fitted), set(_hashes(held_out))
    moved: set[int] = set()
    for rounded in candidates:
        changed = zip(before, _hashes(rounded), strict=True)
        moved |= {at for at, (old, new) in enumerate(changed) if old != new and new in there}
    return len(moved) if len(moved) > 1 else 0


def _frame(features: Any, champion: Manifest, names: list[str]) -> pd.DataFrame:
    """A DataFrame with the names of the holdout rule. Dicts have the columns that are their keys."""
    features, _ = features_for_rule(features, champion.signature, names)
    if isinstance(features, pd.DataFrame):
        return features
    if isinstance(features, list):
        return pd.DataFrame.from_records(features)
    features = features.toarray() if issparse(features) else features
    return pd.DataFrame(features, columns=numbered(features.shape[1]))


def _hashes(frame: pd.DataFrame) -> list[int]:
    return list(hash_rows(read_source(frame))[1])


def _rounded_alike(fitted: pd.DataFrame, held_out: pd.DataFrame, rounding: Round) -> pd.DataFrame | None:
    """The fitted rows with as few digits as the held-out ones, or None if those have all their digits."""
    rounded = {}
    for name in fitted.columns:
        are_numbers = pd.api.types.is_numeric_dtype(held_out[name].dtype)  # a key of dicts may have words there
        if not are_numbers or not pd.api.types.is_float_dtype(fitted[name].dtype):
            continue
        ours, theirs = _finite(fitted[name]), _finite(held_out[name])
        digits = _digits(ours, rounding)
        if digits and _is_rounded(theirs, rounding, digits - 1):
            values = fitted[name].to_numpy(dtype="float64", na_value=np.nan)
            rounded[name] = rounding(values, _digits(theirs, rounding))
    if not rounded:
        return None
    columns = {name: pd.Series(values, index=fitted.index) for name, values in rounded.items()}
    return pd.DataFrame({name: columns.get(name, fitted[name]) for name in fitted.columns}, index=fitted.index)


def _finite(column: Any) -> Any:
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    return values[np.isfinite(values)]


def _digits(values: Any, rounding: Round) -> int:
    """The fewest digits that keep all values; one more than MOST_DIGITS if none do."""
    fitting = (digits for digits in range(MOST_DIGITS + 1) if _is_rounded(values, rounding, digits))
    return next(fitting, MOST_DIGITS + 1)


def _is_rounded(values: Any, rounding: Round, digits: int) -> bool:
    return bool(np.all(np.abs(rounding(values, digits) - values) <= 4 * np.finfo(float).eps * np.abs(values)))


def _to_decimals(values: Any, digits: int) -> Any:
    return np.round(values, digits)


def _to_significant_digits(values: Any, digits: int) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (max(digits, 1) - 1 - np.floor(np.log10(np.abs(values))))
        return np.where(values == 0, 0.0, np.rint(values * scale) / scale)
