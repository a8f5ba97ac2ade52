"""Calls one method of an estimator. Knows no queue."""

from typing import Any

from queuecast.domain.signature import Signature
from queuecast.domain.work import Method
from worker.models.columns.widening import answer_in_parts
from worker.models.frames import frame_of
from worker.models.model_output import output_rows


def infer_rows(estimator: Any, signature: Signature, method: Method, rows: list[Any]) -> list[Any]:
    """The output for JSON rows: a label, a number or a list for each row. Errors of the estimator pass through."""
    return infer_held_frame(estimator, signature, method, frame_of(signature, rows))


def infer_held_frame(estimator: Any, signature: Signature, method: Method, frame: Any) -> list[Any]:
    """As `infer_frame`, for a frame of `frame_of` or `build_frame`: rows that need other dtypes are called apart."""
    return answer_in_parts(signature, frame, lambda part: infer_frame(estimator, method, part))


def infer_frame(estimator: Any, method: Method, frame: Any) -> list[Any]:
    """The output for a frame of n rows, as n plain values or nested lists."""
    return output_rows(getattr(estimator, method.value)(frame))
