"""The models of the load, fitted in this process, so that it can compute the expected answers.

`titanic` is the example of the repository; `numbers` has no column names; `slow` takes 1 ms per row (brute-force
neighbours under a Minkowski metric), so that a kill hits a running job; `hist` is retrained repeatedly.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

import queuecast
from examples.titanic import train
from queuecast.client.row_formats.json_rows import TABLE_MEDIA_TYPE, example_table, json_rows
from queuecast.domain.holdout import Split

RELATIVE = 1e-9  # BLAS kernels differ in the last bits by the shape of a batch
ANSWER_FIELDS = {"predict": "predictions", "predict_proba": "probabilities"}


@dataclass(frozen=True)
class Example:
    """A fitted estimator with the rows for its predictions."""

    name: str
    estimator: Any
    X: Any  # (n_rows, n_features): a DataFrame or an array
    methods: tuple[str, ...]
    target: str | None = None
    split: Split | None = None
    rows: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", json_rows(self.X))


@dataclass(frozen=True)
class Push:
    """The body of a push, built once: requests under one Idempotency-Key must be identical, boundary included."""

    content: bytes
    media_type: str


class SampleModels:
    def __init__(self, seed: int) -> None:
        self.examples = {example.name: example for example in _examples(seed)}
        self.pushes = {name: push_body(example) for name, example in self.examples.items()}
        self.small = self.pushes["numbers"]  # the load imports it under new names
        self._answers: dict[tuple[str, int, str], list[Any]] = {}

    def answer(self, models: Path, model: str, version: int, method: str, rows: tuple[int, ...]) -> list[Any]:
        """The answers of a version, computed in this process. `models` holds the folders of retrained versions."""
        key = (model, version, method)
        if key not in self._answers:
            example = self.examples[model]
            estimator = example.estimator if version == 1 else load(models / model / str(version) / "model.skops")
            self._answers[key] = getattr(estimator, method)(example.X).tolist()
        answers = self._answers[key]
        return [answers[row] for row in rows]


def load(path: Path) -> Any:
    """Loads a model file with all its types: our own workers wrote it."""
    data = path.read_bytes()
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def is_same(found: Any, expected: Any) -> bool:
    """Compares nested lists: labels must be identical, floats equal within RELATIVE."""
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=1e-15)
    return bool(found == expected)


def push_body(example: Example) -> Push:
    metadata: dict[str, Any] = {"target": [example.target] if example.target else None}
    if example.split is not None:
        rule = example.split.rule
        metadata["holdout"] = {"method": rule.method, "fraction": rule.fraction, "columns": list(rule.columns)}
    parts = [
        ('name="model"; filename="model.skops"', "application/octet-stream", skops.io.dumps(example.estimator)),
        (
            'name="example"; filename="example.json"',
            TABLE_MEDIA_TYPE,
            json.dumps(example_table(example.X)).encode(),
        ),
        ('name="metadata"', "application/json", json.dumps(metadata).encode()),
    ]
    boundary = "chaos-boundary-0b6e1c"
    content = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {media}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, media, data in parts
    )
    return Push(content + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")


def _examples(seed: int) -> list[Example]:
    passengers = train.passengers()
    features, target = passengers[train.COLUMNS], passengers[train.TARGET]
    split = queuecast.holdout(features)
    fitting, labels = features.iloc[split.train], target.iloc[split.train]
    both = ("predict", "predict_proba")
    random = np.random.default_rng(seed)
    points = random.normal(size=(4000, 12))
    classes = random.integers(0, 3, 4000)
    slow = KNeighborsClassifier(15, algorithm="brute", metric="minkowski", p=1.5).fit(points, classes)
    ridge = Ridge().fit(points[:200, :4], points[:200, 4])
    forest = RandomForestClassifier(20, random_state=0).fit(
        pd.DataFrame(points[:300, :3], columns=list("abc")), classes[:300]
    )
    return [
        Example("titanic", train.logistic().fit(fitting, labels), features, both, train.TARGET, split),
        Example(
            "hist",
            train.hist().set_params(model__max_iter=20).fit(fitting, labels),
            features,
            both,
            train.TARGET,
            split,
        ),
        Example("slow", slow, points[:1500], both),
        Example("numbers", ridge, points[200:800, :4], ("predict",)),
        Example("forest", forest, pd.DataFrame(points[300:700, :3], columns=list("abc")), both),
    ]
