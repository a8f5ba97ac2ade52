"""Slices: the rows with one value, or one range of values, of a column.

A version may be better on average and worse in a slice.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.gate import Score, SliceScores
from worker.scoring.labelled_rows import LabelledRows
from worker.scoring.metrics import default_margin
from worker.scoring.row_scores import row_scores

MIN_ROWS = 50


def slice_scores(
    rows: LabelledRows, features: Any, columns: Sequence[str] | None, baseline: float
) -> list[SliceScores]:
    """Of slices with MIN_ROWS or more rows. columns: None to choose them.

    features: the rows as a DataFrame; other rows have no slices. baseline: the log loss of an estimator that knows no
    features.
    """
    scored = _by_row(rows)
    if scored is None or not isinstance(features, pd.DataFrame):
        return []
    metric, champion, challenger = scored
    found = [each for each in _slices(features, columns) if int(each[2].sum()) >= MIN_ROWS]
    if not found:
        return []
    # Bonferroni: all intervals together miss a true difference in 5 % of the comparisons.
    width = NormalDist().inv_cdf(1 - 0.025 / len(found))
    margin = 2 * default_margin(metric, float(champion.mean()), baseline)
    return [
        _scored(column, value, metric, champion[mask], challenger[mask], width, margin) for column, value, mask in found
    ]


def _scored(
    column: str, value: str, metric: str, champion: Any, challenger: Any, width: float, margin: float
) -> SliceScores:
    differences = challenger - champion
    mean = float(differences.mean())
    half = width * float(differences.std(ddof=1)) / len(differences) ** 0.5
    return SliceScores(
        column,
        value,
        len(differences),
        metric,
        float(champion.mean()),
        float(challenger.mean()),
        Score(mean, mean - half, mean + half),
        margin,
    )


def _by_row(rows: LabelledRows) -> tuple[str, Any, Any] | None:
    """The first metric that is a mean over rows and scores both versions."""
    versions = list(rows.versions.values())
    names = ("neg_log_loss", "accuracy") if versions[0].is_classifier else ("neg_mean_absolute_error",)
    for metric in names:
        champion, challenger = (row_scores(metric, rows.target, version) for version in versions)
        if champion is not None and challenger is not None and np.isfinite(champion + challenger).all():
            return metric, champion, challenger
    return None


def _slices(features: pd.DataFrame, columns: Sequence[str] | None) -> Iterator[tuple[str, str, Any]]:
    """Column, value or range as text, and which rows are in the slice."""
    chosen = list(features.columns[:30]) if columns is None else [c for c in columns if c in features.columns]
    for name in chosen:
        column = features[name]
        yield from ((str(name), value, mask) for value, mask in _parts(column))


def _parts(column: pd.Series) -> Iterator[tuple[str, Any]]:
    if column.isna().any():
        yield "(missing)", column.isna().to_numpy()
    try:
        values = column.dropna().unique()
    except TypeError:  # lists or dicts in a column that no step reads
        return
    if len(values) <= 12:
        for value in values:
            yield str(value), (column == value).fillna(False).to_numpy(dtype=bool)  # noqa: FBT003
    elif pd.api.types.is_numeric_dtype(column.dtype):
        yield from _quarters(column)


def _quarters(column: pd.Series) -> Iterator[tuple[str, Any]]:
    values = column.to_numpy(dtype="float64", na_value=np.nan)
    bounds = np.unique(np.nanquantile(values, [0, 0.25, 0.5, 0.75, 1]))
    for at, (low, high) in enumerate(pairwise(bounds)):
        is_last = at == len(bounds) - 2
        mask = (values >= low) & ((values <= high) if is_last else (values < high))
        yield f"{low:.6g} to {high:.6g}", mask
