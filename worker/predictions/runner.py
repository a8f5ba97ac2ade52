"""Runs the prediction jobs of one lane in one call of the estimator."""

from typing import Any

import msgspec

from queuecast.domain.errors import RunFailedError, raised
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports.clock import Clock
from queuecast.ports.models import ModelRegistry
from worker.engine.contracts import ClaimedJob, Result
from worker.models.bisection import Answered, bisect_failures
from worker.models.inference import answers, result_of
from worker.models.loading import EstimatorCache

_decoder = msgspec.json.Decoder(list[Any])


class PredictionRunner:
    """Runs prediction jobs of one lane: the pinned version's estimator on the rows of all of them in one call."""

    def __init__(self, models: ModelRegistry, estimators: EstimatorCache, clock: Clock) -> None:
        self._models = models
        self._estimators = estimators
        self._clock = clock

    def run(self, orders: list[ClaimedJob]) -> list[Result | Exception]:
        """The result or the error of each job. The rows are the JSON lists that the gateway validated.

        Raises an error that concerns all of them: the model is missing or damaged.
        """
        first = orders[0]
        manifest = self._models.manifest(first.job.model.name, first.job.model.pinned_version)
        estimator = self._estimators.of(manifest)
        method = _method_of(first)
        parts = [_decoder.decode(order.rows) for order in orders]

        def call(rows: list[Any]) -> list[Any]:
            return answers(estimator, manifest.signature, method, rows)

        answered = bisect_failures(call, parts)
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

    def _timings(self, order: ClaimedJob, answered: Answered) -> dict[str, Any]:
        return {
            "queue_ms": order.job.queued_ms(self._clock()),
            "batch_jobs": answered.jobs,
            "batch_rows": answered.rows,
            "predict_ms": round(answered.took_ms, 3),
        }


def _method_of(order: ClaimedJob) -> Method:
    if not isinstance(order.work, PredictionWork):
        raise TypeError(f"job {order.job.id} has {type(order.work).__name__}, expected PredictionWork")
    return order.work.method


def _refusal(error: Exception, manifest: Manifest, method: Method) -> Exception:
    detail = f"{method} of {manifest.model} version {manifest.version} raised {raised(error)}"
    refusal = RunFailedError(detail, code="prediction_failed")
    refusal.__cause__ = error
    return refusal
