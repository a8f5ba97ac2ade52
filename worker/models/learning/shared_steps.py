"""Runs the encoders of a pipeline once for all calls that give them the same rows.

An encoder takes a wide table column by column, which is most of the time of its import. `predict`, `predict_proba` and
`decision_function` would each repeat it, and so would the trials with missing values in other columns.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline


@contextmanager
def encoders_shared(estimator: Any, n_columns: int, wide: int = 500) -> Iterator[None]:
    """While the block runs, the first transformers of a pipeline answer rows that they have seen from memory.

    For fewer columns than `wide`, the comparison of rows would cost more than it saves.
    """
    with ExitStack() as stack:
        for part in _first_transformers(estimator) if n_columns >= wide else ():
            if hasattr(part, "transform") and "transform" not in getattr(part, "__dict__", {"transform": None}):
                part.transform = _Remembering(part.transform)
                stack.callback(delattr, part, "transform")
        yield


class _Remembering:
    """Equal rows have an equal output, because a fitted transformer computes it from them alone."""

    def __init__(self, transform: Any, max_calls: int = 3) -> None:
        self._transform = transform
        self._max_calls = max_calls
        self._seen: dict[Any, Any] = {}

    def __call__(self, rows: Any, **params: Any) -> Any:
        key = None if params else _exact_key(rows)
        if key is None:
            return self._transform(rows, **params)
        if key not in self._seen:
            output = self._transform(rows)
            while len(self._seen) >= self._max_calls:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = output
        return self._seen[key].copy()  # a later step may work in place


def _exact_key(rows: Any) -> Any:
    """Equal for a frame of the same names, dtypes and cells only, with None and NaN told apart; None for other rows."""
    if not isinstance(rows, pd.DataFrame):
        return None
    dtypes = rows.dtypes.tolist()
    if all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes):
        cells: Any = rows.to_numpy().tobytes()
    else:
        cells = repr(rows.to_numpy(dtype=object).tolist())
    return tuple(rows.columns), tuple(dtypes), rows.shape, cells


def _first_transformers(estimator: Any) -> list[Any]:
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if not isinstance(estimator, Pipeline) or len(estimator.steps) < 2:
        return []
    first = estimator.steps[0][1]
    if isinstance(first, ColumnTransformer):
        return [inner for _, inner, _ in getattr(first, "transformers_", ()) if not isinstance(inner, str)]
    return [first]
