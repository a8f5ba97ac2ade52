"""Gives the features of a training file the names that the champion's holdout rule has for its columns.

`queuecast.holdout` names the columns of an array, and of a frame whose names are not all text, x0, x1, ...; and a model
that was fitted on an array may have been split as a frame.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

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
    if isinstance(features, pd.DataFrame):
        features = features.set_axis(names, axis=1)
    elif names != places:
        features = pd.DataFrame(features, columns=names)
    return features, list(columns or names)
