"""Counts rows that repeat earlier ones, and rows with the same features and different labels."""

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from worker.data_checks.check_bounds import BOUNDS


def repeated_rows(features: Any, target: Any, *, are_classes: bool) -> tuple[float, float]:
    """The share of rows that repeat an earlier row with its target, and of those whose features have another label too.

    The first rows count, up to the bound. target: array (n_rows,) or (n_rows, n_targets), or None. Without classes, the
    second is 0.
    """
    hashes = row_hashes(features)
    n_rows = len(hashes)
    if not n_rows:
        return 0.0, 0.0
    table = pd.DataFrame({"features": hashes})
    if target is not None:
        labels = pd.DataFrame(np.asarray(target)[:n_rows].reshape(n_rows, -1))
        table["target"] = pd.util.hash_pandas_object(labels, index=False).to_numpy()
    duplicates = float(table.duplicated().mean())
    if not are_classes:
        return duplicates, 0.0
    different = table.drop_duplicates().groupby("features").size()
    conflicting = different.index[different > 1]
    return duplicates, float(table["features"].isin(conflicting).mean())


def row_hashes(features: Any) -> Any:
    """One number for each row, up to the bound; equal rows have equal numbers."""
    if issparse(features):
        rows = features.tocsr()[: BOUNDS.hashed_rows]
        return rows @ np.random.default_rng(0).normal(size=rows.shape[1])
    if isinstance(features, pd.DataFrame):
        frame = features.iloc[: BOUNDS.hashed_rows]
    elif np.ndim(features) == 2:
        frame = pd.DataFrame(features[: BOUNDS.hashed_rows])
    else:
        rows = list(features[: BOUNDS.hashed_rows])
        texts = [json.dumps(row, sort_keys=True, default=str) if isinstance(row, dict) else row for row in rows]
        frame = pd.DataFrame({"row": pd.Series(texts, dtype=object)})
    try:
        return pd.util.hash_pandas_object(frame, index=False).to_numpy()
    except TypeError:  # lists or dicts in a cell
        return pd.util.hash_pandas_object(frame.astype(str), index=False).to_numpy()
