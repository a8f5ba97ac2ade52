"""Rows in, answers out: one call of one estimator method and its outputs as plain values. Knows no queue."""

from typing import Any

import numpy as np

from queuecast.domain.signature import Signature
from queuecast.domain.work import Method
from worker.models.frames import frame_of


def answers(estimator: Any, signature: Signature, method: Method, rows: list[Any]) -> list[Any]:
    """One answer a row: a label or number, or a list of them. Errors of the estimator pass through."""
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
