"""Submits drawn from the seed. Each comes as a record for the history and as the request that sends it."""

import random
from dataclasses import replace
from itertools import count
from typing import Any

from tests.chaos.history import Submit
from tests.chaos.recording_client import Request
from tests.chaos.sample_models import SampleModels

KINDS = {  # kind -> weight in percent
    "one_row": 44,
    "many_rows": 18,
    "slow": 3,
    "waited": 6,
    "retrained": 6,
    "canceled": 8,
    "expiring": 5,
    "repeated": 6,
    "training": 2.5,
    "import": 1.5,
}
SLOW_ROWS = (150, 600)  # 0.14 to 0.55 s on one core
BUSY_ROWS = 1500


class Submits:
    """Draws the submits of one thread. The keys of two threads never collide."""

    def __init__(self, samples: SampleModels, file_id: str, seed: int, thread: str) -> None:
        self._samples = samples
        self._file_id = file_id
        self._random = random.Random(f"{seed}/load/{thread}")
        self._key = (f"chaos-{seed}-{thread}-{number}" for number in count())

    def draw(self) -> tuple[str, Submit, Request]:
        """A submit, its request, and its kind, by which the client decides whether to cancel or repeat it."""
        (kind,) = self._random.choices(list(KINDS), list(KINDS.values()))
        if kind == "training":
            return kind, *self.training()
        if kind == "import":
            return kind, *self.importing()
        model = {"slow": "slow", "retrained": "hist"}.get(kind) or self._random.choice(["titanic", "numbers", "forest"])
        n_rows = 1
        if kind in ("many_rows", "retrained"):
            n_rows = self._random.randint(2, 80)
        elif kind == "slow" or (kind == "canceled" and self._random.random() < 0.4):
            model, n_rows = "slow", self._random.randint(*SLOW_ROWS)
        options: dict[str, Any] = {}
        if kind == "expiring":
            options["expires_in_s"] = round(self._random.uniform(0.02, 3), 3)
        submit, request = self.prediction(model, n_rows, **options)
        if kind == "waited":
            request = replace(request, wait_s=2)
        return kind, replace(submit, is_canceled=kind == "canceled", may_expire=kind == "expiring"), request

    def prediction(self, model: str, n_rows: int, method: str = "", **options: Any) -> tuple[Submit, Request]:
        example = self._samples.examples[model]
        key = next(self._key)
        method = method or self._random.choice(example.methods)
        rows = tuple(self._random.choices(range(len(example.rows)), k=n_rows))
        inputs = [example.rows[row] for row in rows]
        body = {"inputs": inputs, "method": method, "metadata": {"chaos": key}, **options}
        return Submit(key, "prediction", model, method, rows), Request(f"/v1/models/{model}/predictions", body)

    def training(self, iterations: int | None = None, promote: str | None = None) -> tuple[Submit, Request]:
        """A retraining of `hist`, which takes about one millisecond per iteration."""
        key = next(self._key)
        drawn = {
            "model__max_iter": self._random.randint(10, 600),
            "model__learning_rate": self._random.choice([0.02, 0.05, 0.1]),
        }
        body = {
            "file_id": self._file_id,
            "target": "survived",
            "params": drawn if iterations is None else drawn | {"model__max_iter": iterations},
            "promote": promote or self._random.choice(["auto", "auto", "auto", "manual", "never"]),
            "metadata": {"chaos": key},
        }
        return Submit(key, "training", "hist"), Request("/v1/models/hist/trainings", body)

    def importing(self, model: str | None = None) -> tuple[Submit, Request]:
        """A push of a sample model under its own name or, by default, of a small model under a new name."""
        key = next(self._key)
        name = model or f"imported-{key}"
        push = self._samples.small if model is None else self._samples.pushes[model]
        return Submit(key, "import", name), Request(f"/v1/models/{name}/versions", push=push)
