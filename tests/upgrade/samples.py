"""The models, tables and answers of a recorded state.

`species` is fast. `topics` takes almost a second per row, so that a worker can be killed in the middle of a row; it is
slow because of a parameter of the estimator, so its file stays small.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import LatentDirichletAllocation
from sklearn.linear_model import LogisticRegression

SPECIES, TOPICS = "species", "topics"
TARGET = "size"
SLOW_STEPS = 250_000  # iterations per row, 3 us each


def leaves(rows: int, seed: int) -> pd.DataFrame:
    """Three measurements of a leaf, its name and its size: a table for training and prediction."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.uniform(0, 10, (rows, 3)).round(2), columns=["length", "width", "height"])
    size = np.where(table.sum(axis=1) > 15, "large", "small")
    return table.assign(**{"leaf": [f"leaf-{number}" for number in range(1, rows + 1)], TARGET: size})


def baskets(rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.integers(0, 9, (rows, 3)), columns=["apples", "pears", "plums"])
    return table.assign(basket=[f"basket-{number}" for number in range(1, rows + 1)])


def features(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:, :3]


def species() -> LogisticRegression:
    table = leaves(40, seed=1)
    return LogisticRegression().fit(features(table), table[TARGET])


def topics(seed: int) -> LatentDirichletAllocation:
    model = LatentDirichletAllocation(2, max_doc_update_iter=50, mean_change_tol=0.0, random_state=seed)
    return model.fit(features(baskets(20, seed=2))).set_params(max_doc_update_iter=SLOW_STEPS)


def answers(estimator: Any, method: str, table: pd.DataFrame) -> list[Any]:
    """The expected answers of a prediction on these rows."""
    expected: list[Any] = np.asarray(getattr(estimator, method)(features(table))).tolist()
    return expected
