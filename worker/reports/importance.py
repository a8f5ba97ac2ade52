"""Permutation importance: how much the deciding metric falls if the values of one column are shuffled.

Bounded in rows, columns and time, because each shuffle is another call of the estimator for all rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.errors import short_name
from queuecast.domain.reports import ColumnImportance, Importance
from worker.reports.rounding import significant

MAX_ROWS = 1000
MAX_COLUMNS = 30
REPEATS = 5


@dataclass(frozen=True, slots=True)
class ShuffledRows:
    """Held-out rows whose columns can be shuffled.

    features: a DataFrame or a dense array. columns: the columns to try, as positions and names.
    score: the metric for features of this form; greater is better.
    """

    features: Any
    columns: Sequence[tuple[int, str]]
    score: Callable[[Any], float]


def importance(
    metric: str, rows: ShuffledRows, limit_s: float = 10.0, clock: Callable[[], float] = monotonic
) -> Importance:
    """Of the MAX_COLUMNS columns for which one shuffle cost most. The first pass has 40 % of the time."""
    started = clock()
    n_rows, n_columns = len(rows.features), len(rows.columns)
    whole = rows.score(rows.features)
    if not np.isfinite(whole):
        return Importance(metric, n_rows, n_columns, reason=f"{metric} cannot be computed on these rows")
    rng = np.random.default_rng(0)
    first: dict[int, float] = {}
    for at, (position, _) in enumerate(rows.columns):
        if clock() - started > 0.4 * limit_s:
            break
        first[at] = whole - rows.score(_shuffled(rows.features, position, rng))
    largest = sorted(first, key=lambda at: -first[at])[:MAX_COLUMNS]
    drops: dict[int, list[float]] = {at: [first[at]] for at in largest}
    for at in _until(clock, started + limit_s, [at for _ in range(REPEATS - 1) for at in largest]):
        drops[at].append(whole - rows.score(_shuffled(rows.features, rows.columns[at][0], rng)))
    found = [_column(rows.columns[at][1], np.array(each)) for at, each in drops.items()]
    reason = "" if len(first) == n_columns else f"{n_columns - len(first):,} columns were not tried: the time was over"
    return Importance(metric, n_rows, n_columns, tuple(sorted(found, key=lambda each: -each.drop)), reason)


def _until(clock: Callable[[], float], deadline: float, order: list[int]) -> Iterator[int]:
    for at in order:
        if clock() > deadline:
            return
        yield at


def _column(name: str, drops: Any) -> ColumnImportance:
    drops = drops[np.isfinite(drops)] if np.isfinite(drops).any() else np.zeros(1)
    drop, deviation = significant([drops.mean(), drops.std()])
    return ColumnImportance(short_name(name), drop, deviation)


def _shuffled(features: Any, position: int, rng: Any) -> Any:
    """A copy with the values of one column in another order, in the same dtype."""
    order = rng.permutation(len(features))
    copy = features.copy()
    if isinstance(features, pd.DataFrame):
        copy.isetitem(position, features.iloc[:, position].take(order).set_axis(features.index))
    else:
        copy[:, position] = features[order, position]
    return copy
