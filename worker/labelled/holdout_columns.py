"""The table by which rows are split: features under the names that the holdout rule has for them, and other columns.

`queuecast.holdout` names the columns of an array, and of a frame whose names are not all text, x0, x1, ...; and a model
that was fitted on an array may have been split as a frame.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from queuecast.domain.columns.labels import numbered
from queuecast.domain.signature import Signature


def features_for_rule(features: Any, signature: Signature, columns: Sequence[str]) -> tuple[Any, list[str]]:
    """The features with these names, and the names that decide.

    features: a DataFrame with text names, an array or a sparse matrix. columns: those of the rule; empty for all.
    """
    own = [column.name for column in signature.columns]
    if not signature.takes_lists:
        return features, list(columns or own)
    places = numbered(len(own))
    names = own if set(columns) <= set(own) and (columns or signature.labels is None) else places
    if len(columns) == len(own) and not set(columns) & {*own, *places}:
        names = list(columns)  # of the frame that became the array
    if isinstance(features, pd.DataFrame):
        features = features.set_axis(names, axis=1)
    elif names != places:
        features = pd.DataFrame(features, columns=names)
    return features, list(columns or names)


def table_for_rule(
    features: Any, signature: Signature, columns: Sequence[str], outside: Mapping[str, Sequence[Any]]
) -> pd.DataFrame:
    """A DataFrame of the columns of the rule. outside: those that are no features, with their values."""
    inside = [name for name in columns if name not in outside]
    table = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in outside.items()})
    for name in inside:
        table[name] = _column(features, signature, inside, name)
    return table[list(columns)]


def _column(features: Any, signature: Signature, columns: Sequence[str], name: str) -> Any:
    if isinstance(features, list):
        return [row.get(name) if isinstance(row, dict) else row for row in features]
    named, _ = features_for_rule(features, signature, columns)
    if isinstance(named, pd.DataFrame):
        return named[name].array
    column = named[:, numbered(len(signature.columns)).index(name)]
    return np.ravel(column.toarray()) if issparse(named) else column
