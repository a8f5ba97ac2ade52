"""Rows in, answers out: one call of one estimator method and its outputs as plain values. Knows no queue."""

import time
from typing import Any

import msgspec
import numpy as np

from queuecast.domain.errors import RunFailedError
from queuecast.domain.job import Job
from queuecast.domain.signature import Signature
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports import Clock, ModelRegistry
from worker.estimators import Estimators
from worker.execution import Result
from worker.frames import frame_of


def answers(estimator: Any, signature: Signature, method: Method, rows: list[Any]) -> list[Any]:
    """One answer a row: a label or number, or a list of them. Whatever the estimator raises goes through."""
    return outputs(estimator, method, frame_of(signature, rows))


def outputs(estimator: Any, method: Method, frame: Any) -> list[Any]:
    """The method's output for a frame of n rows, as a list of n plain values or nested lists."""
    raw = getattr(estimator, method.value)(frame)
    if isinstance(raw, list):  # predict_proba of a multi-output estimator: one (n, n_classes) array an output
        return [list(row) for row in zip(*(plain(part) for part in raw), strict=True)]
    return plain(raw)


def plain(raw: Any) -> list[Any]:
    """An array, sparse matrix or DataFrame of n rows as n plain values or lists."""
    if hasattr(raw, "toarray"):
        raw = raw.toarray()
    listed: list[Any] = np.asarray(raw).tolist()
    return listed


def plain_classes(estimator: Any) -> Any:
    """`classes_` as plain values; None for an estimator without; a list of lists for a multi-output one."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    return [plain(part) for part in classes] if isinstance(classes, list) else plain(classes)


def result_of(method: Method, found: list[Any], classes: Any) -> dict[str, Any]:
    """The part of a prediction's result that the estimator determines."""
    key = "probabilities" if method is Method.PREDICT_PROBA else "predictions"
    has_classes = classes is not None and method in (Method.PREDICT, Method.PREDICT_PROBA, Method.DECISION_FUNCTION)
    return {"method": method.value, key: found} | ({"classes": classes} if has_classes else {})


class Prediction:
    """Runs prediction jobs: the pinned version's estimator on the job's rows."""

    def __init__(self, models: ModelRegistry, estimators: Estimators, clock: Clock) -> None:
        self._models = models
        self._estimators = estimators
        self._clock = clock

    def run(self, job: Job, work: PredictionWork, rows: bytes) -> Result:
        """rows: the JSON list that the gateway validated. Raises RunFailedError when the estimator raises."""
        manifest = self._models.manifest(job.model.name, job.model.pinned_version)
        estimator = self._estimators.of(manifest)
        started = time.perf_counter()
        try:
            found = answers(estimator, manifest.signature, work.method, msgspec.json.decode(rows))
        except Exception as error:  # an estimator raises what it likes
            detail = f"{work.method} of {manifest.model} version {manifest.version} raised "
            raise RunFailedError(f"{detail}{type(error).__name__}: {error}", code="prediction_failed") from error
        predict_ms = (time.perf_counter() - started) * 1000
        value = result_of(work.method, found, manifest.classes)
        value["model"] = {
            "name": manifest.model,
            "version": manifest.version,
            "sha256": manifest.sha256,
            "sklearn": manifest.environment["sklearn"],
        }
        value["timings"] = {
            "queue_ms": round(((job.started_at or self._clock()) - job.created_at) * 1000, 3),
            "batch_jobs": 1,
            "batch_rows": work.n_rows,
            "predict_ms": round(predict_ms, 3),
        }
        return Result(value)
