"""Worlds from which any number of labelled rows can be drawn, so that the true score of a version is known."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.titanic.train import COLUMNS, TARGET, hist, logistic, passengers


@dataclass(frozen=True, slots=True)
class World:
    """draw: n_rows and a generator of random numbers -> features and target.

    file_rows: the rows of a file, of which a fifth is held out.
    """

    name: str
    draw: Callable[[int, Any], tuple[pd.DataFrame, Any]]
    estimator: Callable[[], Any]
    file_rows: int = 5_000


@cache
def worlds() -> list[World]:
    return [_titanic(), _wine(), _payments("churn", -2.5), _payments("fraud", -5.3), _payments("fraud", -5.3, 50_000)]


def _titanic() -> World:
    """Passengers like those of the Titanic: drawn with noise in age and fare; a boosted model gives who survives."""
    rows = passengers()
    truth = hist().set_params(model__max_iter=40).fit(rows[COLUMNS], rows[TARGET])

    def draw(n_rows: int, rng: Any) -> tuple[pd.DataFrame, Any]:
        frame = rows[COLUMNS].iloc[rng.integers(0, len(rows), n_rows)].reset_index(drop=True)
        frame["age"] = (frame["age"] * rng.normal(1, 0.1, n_rows)).round(2)
        frame["fare"] = (frame["fare"] * rng.normal(1, 0.1, n_rows)).round(4)
        return frame, _labels(truth.predict_proba(frame), rng)

    return World("titanic, 1,000 rows", draw, logistic)


def _payments(name: str, intercept: float, file_rows: int = 5_000) -> World:
    """A rare class by a logistic truth with an interaction that the model does not know.

    intercept: -2.5 for 18 % of positive rows, -5.3 for 2.3 %.
    """

    def draw(n_rows: int, rng: Any) -> tuple[pd.DataFrame, Any]:
        values = rng.normal(size=(n_rows, 12))
        weights = np.array([1.2, -1.0, 0.8, 0.6, -0.5, 0.4, 0.3, 0.2, 0, 0, 0, 0])
        logits = values @ weights + 0.5 * values[:, 0] * values[:, 1] + intercept
        positive = 1 / (1 + np.exp(-logits))
        frame = pd.DataFrame(values, columns=[f"v{at}" for at in range(12)])
        return frame, _labels(np.column_stack([1 - positive, positive]), rng)

    return World(
        f"{name}, {file_rows // 5:,} rows",
        draw,
        lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        file_rows,
    )


def _wine() -> World:
    """Wines of three classes: drawn around those of scikit-learn's table, with so much noise that classes overlap."""
    table = load_wine(as_frame=True)
    spread = table.data.std().to_numpy()
    truth = make_pipeline(StandardScaler(), LogisticRegression(C=0.3)).fit(table.data.to_numpy(), table.target)

    def draw(n_rows: int, rng: Any) -> tuple[pd.DataFrame, Any]:
        base = table.data.to_numpy()[rng.integers(0, len(table.data), n_rows)]
        values = base + rng.normal(size=base.shape) * spread
        return pd.DataFrame(values, columns=table.data.columns), _labels(truth.predict_proba(values), rng)

    return World(
        "wine, 1,000 rows", draw, lambda: HistGradientBoostingClassifier(max_iter=60, learning_rate=0.1, random_state=0)
    )


def _labels(probabilities: Any, rng: Any) -> Any:
    drawn = rng.random(len(probabilities))[:, None]
    return (drawn > np.cumsum(probabilities, axis=1)[:, :-1]).sum(axis=1)
