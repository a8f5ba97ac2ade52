"""Runs the prediction jobs of one lane in one call of the estimator."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

from queuecast.domain.errors import RunFailedError, exception_text
from queuecast.domain.model import Manifest
from queuecast.domain.work import Method, PredictionWork
from queuecast.ports.clock import Clock
from queuecast.ports.models import ModelRegistry
from worker.engine.contracts import ClaimedJob, Result
from worker.models.bisection import Failed, bisect_failures
from worker.models.inference import infer_rows
from worker.models.loading import EstimatorCache
from worker.models.model_output import require_length

_decoder = msgspec.json.Decoder(list[Any])


@dataclass(frozen=True, slots=True)
class Prediction:
    """The output for one job's rows, and the size and the time of the call that it shared."""

    output: list[Any]
    call_jobs: int
    call_rows: int
    call_ms: float


class PredictionRunner:
    """Calls the pinned version's estimator once with the rows of all jobs; after an error, finds the jobs that fail."""

    def __init__(self, models: ModelRegistry, estimators: EstimatorCache, clock: Clock) -> None:
        self._models = models
        self._estimators = estimators
        self._clock = clock

    def run(self, claimed: list[ClaimedJob]) -> list[Result | Exception]:
        """The result or the error of each job. The rows are the JSON lists that the gateway validated.

        Raises an error that concerns all of them: the model is missing or damaged.
        """
        first = claimed[0]
        manifest = self._models.manifest(first.job.model.name, first.job.model.pinned_version)
        estimator = self._estimators.load(manifest)
        method = _method_of(first)
        outcomes = predict_jobs(
            lambda rows: infer_rows(estimator, manifest.signature, method, rows),
            [_decoder.decode(each.rows) for each in claimed],
        )
        return [
            _failure(outcome, manifest, method)
            if isinstance(outcome, Exception)
            else self._result(each, outcome, manifest, method)
            for each, outcome in zip(claimed, outcomes, strict=True)
        ]

    def _result(self, claimed: ClaimedJob, prediction: Prediction, manifest: Manifest, method: Method) -> Result:
        timings = {
            "queue_ms": claimed.job.queued_ms(self._clock()),
            "batch_jobs": prediction.call_jobs,
            "batch_rows": prediction.call_rows,
            "predict_ms": round(prediction.call_ms, 3),
        }
        key = "probabilities" if method is Method.PREDICT_PROBA else "predictions"
        value: dict[str, Any] = {"method": method.value, key: prediction.output}
        if manifest.classes is not None and method in (
            Method.PREDICT,
            Method.PREDICT_PROBA,
            Method.DECISION_FUNCTION,
        ):
            value["classes"] = manifest.classes
        return Result(value | {"model": manifest.model_info(), "timings": timings})


def predict_jobs(
    infer: Callable[[list[Any]], list[Any]], rows_of_jobs: list[list[Any]]
) -> list[Prediction | Exception]:
    """The prediction or the error of each job. A job fails only if its own rows make `infer` raise an error."""

    def call(jobs: Sequence[list[Any]]) -> list[Prediction]:
        began = time.perf_counter()
        rows = [row for job_rows in jobs for row in job_rows]
        output = infer(rows)
        require_length(len(output), len(rows))
        took_ms = (time.perf_counter() - began) * 1000
        ends = accumulate(map(len, jobs))
        return [
            Prediction(output[end - len(job_rows) : end], len(jobs), len(rows), took_ms)
            for end, job_rows in zip(ends, jobs, strict=True)
        ]

    outcomes: list[Prediction | Exception] = []
    for called in bisect_failures(call, rows_of_jobs):
        if isinstance(called, Failed):
            outcomes.append(called.error)
        else:
            outcomes.extend(called.value)
    return outcomes


def _method_of(claimed: ClaimedJob) -> Method:
    if not isinstance(claimed.work, PredictionWork):
        raise TypeError(f"job {claimed.job.id} has {type(claimed.work).__name__}, expected PredictionWork")
    return claimed.work.method


def _failure(error: Exception, manifest: Manifest, method: Method) -> RunFailedError:
    detail = f"{method} of {manifest.model} version {manifest.version} raised {exception_text(error)}"
    failure = RunFailedError(detail, code="prediction_failed")
    failure.__cause__ = error
    return failure
