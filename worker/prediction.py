"""Rows in, answers out: one call of one estimator method and its outputs as plain values. Knows no queue."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np

from queuecast.domain.errors import RunFailedError, raised
from queuecast.domain.model import Manifest
from queuecast.domain.signature import Signature
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports import Clock, ModelRegistry
from worker.estimators import Estimators
from worker.frames import frame_of
from worker.orders import Order, Result

_decoder = msgspec.json.Decoder(list[Any])


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


def require_count(found: int, expected: int) -> None:
    if found != expected:
        raise ValueError(f"found {found} answers, expected {expected}")


@dataclass(frozen=True, slots=True)
class Answered:
    """A job's answers, and the call that they are from."""

    found: list[Any]
    jobs: int
    rows: int
    took_ms: float


def bisected(call: Callable[[list[Any]], list[Any]], parts: list[list[Any]]) -> list[Answered | Exception]:
    """What `call` says of each part, asked for all at once; when it raises, for the halves, down to a part alone.

    So an error is only ever that of a part's own rows: k bad ones among n cost at most 2 k log2(n) + 1 calls.
    """
    began = time.perf_counter()
    rows = [row for part in parts for row in part]
    try:
        found = call(rows)
        require_count(len(found), len(rows))
    except Exception as error:  # an estimator raises what it likes
        if len(parts) == 1:
            return [error]
        middle = len(parts) // 2
        return bisected(call, parts[:middle]) + bisected(call, parts[middle:])
    took_ms = (time.perf_counter() - began) * 1000
    ends = list(accumulate(map(len, parts)))
    return [
        Answered(found[end - len(part) : end], len(parts), len(rows), took_ms)
        for end, part in zip(ends, parts, strict=True)
    ]


class Prediction:
    """Runs prediction jobs of one lane: the pinned version's estimator on the rows of all of them in one call."""

    def __init__(self, models: ModelRegistry, estimators: Estimators, clock: Clock) -> None:
        self._models = models
        self._estimators = estimators
        self._clock = clock

    def run(self, orders: list[Order]) -> list[Result | Exception]:
        """What came of each job. The rows are the JSON lists that the gateway validated.

        Raises what keeps all of them from being answered: the model is not there, or not as it should be.
        """
        first = orders[0]
        manifest = self._models.manifest(first.job.model.name, first.job.model.pinned_version)
        estimator = self._estimators.of(manifest)
        method = _method_of(first)
        parts = [_decoder.decode(order.rows) for order in orders]

        def call(rows: list[Any]) -> list[Any]:
            return answers(estimator, manifest.signature, method, rows)

        answered = bisected(call, parts)
        about = {
            "name": manifest.model,
            "version": manifest.version,
            "sha256": manifest.sha256,
            "sklearn": manifest.environment["sklearn"],
        }
        return [
            _refusal(each, manifest, method)
            if isinstance(each, Exception)
            else Result(
                result_of(method, each.found, manifest.classes)
                | {"model": about, "timings": self._timings(order, each)}
            )
            for order, each in zip(orders, answered, strict=True)
        ]

    def _timings(self, order: Order, answered: Answered) -> dict[str, Any]:
        return {
            "queue_ms": order.job.queued_ms(self._clock()),
            "batch_jobs": answered.jobs,
            "batch_rows": answered.rows,
            "predict_ms": round(answered.took_ms, 3),
        }


def _method_of(order: Order) -> Method:
    if not isinstance(order.work, PredictionWork):
        raise TypeError(f"job {order.job.id} has {type(order.work).__name__}, expected PredictionWork")
    return order.work.method


def _refusal(error: Exception, manifest: Manifest, method: Method) -> Exception:
    detail = f"{method} of {manifest.model} version {manifest.version} raised {raised(error)}"
    refusal = RunFailedError(detail, code="prediction_failed")
    refusal.__cause__ = error
    return refusal
