"""Retrains a version on a file, and fits the same estimator in this process on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from queuecast import holdout
from queuecast.client.row_formats.target_columns import target_names
from tests.differential import writers
from tests.differential.cases import Case
from tests.differential.product import Version
from tests.differential.writers import Writer

RETRAININGS: Mapping[str, Writer] = {
    "retrain: upload": writers.upload,
    "retrain: CSV": writers.write_quoted_csv,
    "retrain: NDJSON": writers.write_ndjson,
    "retrain: Parquet": writers.write_parquet,
}


@dataclass(frozen=True)
class Retrained:
    version: Version
    expected: Any
    """The estimator that the notebook fits on the rows that are not held out."""


def retrain(version: Version, case: Case, estimator: Any, way: str) -> Retrained | None:
    """None if the notebook cannot fit the rows that the file holds.

    Raises Refused, Crashed or CannotWrite.
    """
    names = tuple(target_names(case.target) or ())
    frame = writers.with_target(case.table(case.frame), case.target, names)
    known = writers.words_of(frame)
    written = RETRAININGS[way](frame, known)
    if not written.positions:
        return None
    split = holdout(case.pushed(case.frame.iloc[written.positions]))
    train = np.asarray(written.positions)[split.train].tolist()
    try:
        expected = case.fit(estimator, train)
    except Exception:  # an estimator raises what it likes
        return None
    return Retrained(version.retrained(written.content, written.media_type, names), expected)
