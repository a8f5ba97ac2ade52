"""A training takes rows and targets apart, as `push` does, and a worker fits on exactly these."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from queuecast import holdout
from queuecast.client.row_formats.fit_tables import fit_table, fit_target_names
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.target_columns import target_names
from queuecast.domain.work import Method, TrainingWork
from tests.worker.model_fixtures import LocalService

pytestmark = pytest.mark.filterwarnings("ignore")

N_ROWS = 40
ARRAY = np.column_stack([np.arange(N_ROWS) % 7 / 4, np.arange(N_ROWS) % 5]).astype("float64")
FRAME = pd.DataFrame(ARRAY, columns=["height", "width"])
WORDS = np.array(["small", "NA", "large"])[np.arange(N_ROWS) % 3]
ROWS: dict[str, Any] = {
    "frame": FRAME,
    "frame with numbers for names": FRAME.set_axis([0, 1], axis=1),
    "frame with levels": FRAME.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]), axis=1),
    "array": ARRAY,
    "objects": ARRAY.astype(object),
    "half precision": ARRAY.astype("float16"),
    "lists": ARRAY.tolist(),
}
TARGETS: dict[str, Any] = {
    "array": WORDS,
    "list": WORDS.tolist(),
    "Series": pd.Series(WORDS),
    "Series with a name": pd.Series(WORDS, name="size"),
    "categories": pd.Series(WORDS, dtype="category", name="size"),
    "whole numbers": np.arange(N_ROWS) % 3,
    "booleans": np.arange(N_ROWS) % 2 == 0,
}


def _trained(service: LocalService, rows: Any, y: Any, champions: tuple[str, ...]) -> None:
    names = fit_target_names(rows, y, None, champions)
    with fit_table(rows, y, names) as table:
        stored = service.stored(table.content.read(), table.media_type, table.name)
    service.result(service.trained(TrainingWork(stored.id, stored.sha256, tuple(names))))


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_worker_fits_on_the_rows_of_every_kind(service: LocalService, rows: Any) -> None:
    estimator = DecisionTreeClassifier(random_state=0).fit(rows, WORDS)
    service.result(service.pushed(estimator, rows, tuple(target_names(WORDS, rows) or ())))

    _trained(service, rows, WORDS, ("target",))

    split = holdout(rows)
    train = split.train
    taken = rows.iloc[train] if hasattr(rows, "iloc") else np.asarray(rows, dtype=getattr(rows, "dtype", None))[train]
    expected = clone(estimator).fit(taken, WORDS[train])
    assert service.answers(json_rows(rows), Method.PREDICT_PROBA, 2) == expected.predict_proba(rows).tolist()


@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_a_worker_fits_on_targets_of_every_kind(service: LocalService, y: Any) -> None:
    estimator = DecisionTreeClassifier(random_state=0).fit(FRAME, y)
    service.result(service.pushed(estimator, FRAME, tuple(target_names(y, FRAME) or ())))

    _trained(service, FRAME, y, service.manifest(1).target)

    train = holdout(FRAME).train
    expected = clone(estimator).fit(FRAME.iloc[train], np.asarray(y)[train])
    assert service.manifest(2).classes == expected.classes_.tolist()
    assert service.answers(FRAME, Method.PREDICT, 2) == expected.predict(FRAME).tolist()


@pytest.mark.parametrize(
    "y",
    [
        pd.DataFrame({"a": np.arange(N_ROWS) / 4, "b": np.arange(N_ROWS) % 3}),
        np.column_stack([np.arange(N_ROWS) / 4, np.arange(N_ROWS) % 3]),
        (np.arange(N_ROWS) / 4).reshape(-1, 1),
        np.column_stack([np.arange(N_ROWS), np.arange(N_ROWS)]).tolist(),
    ],
    ids=["frame", "array", "one column", "lists"],
)
def test_a_worker_fits_on_several_targets(service: LocalService, y: Any) -> None:
    estimator = DecisionTreeRegressor(random_state=0).fit(FRAME, y)
    service.result(service.pushed(estimator, FRAME, tuple(target_names(y, FRAME) or ())))

    _trained(service, FRAME, y, service.manifest(1).target)

    train = holdout(FRAME).train
    expected = clone(estimator).fit(FRAME.iloc[train], np.asarray(y)[train])
    assert service.answers(FRAME, Method.PREDICT, 2) == expected.predict(FRAME).tolist()
