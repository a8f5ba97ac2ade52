"""Turns an estimator's output into named columns. Floats become float64, so that every format has the same numbers."""

import json
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.work import Method

_STEMS = {
    Method.PREDICT: "prediction",
    Method.PREDICT_PROBA: "probability",
    Method.DECISION_FUNCTION: "decision",
    Method.TRANSFORM: "transform",
    Method.SCORE_SAMPLES: "score",
}


def answer_columns(method: Method, raw: Any, classes: Any) -> dict[str, Any]:
    """raw: the method's output for n rows: an array, a list of arrays (one per output), sparse, or a DataFrame.
    classes: the manifest's. Returns name -> array (n,), in the order of the outputs."""
    stem = _STEMS[method]
    if isinstance(raw, list) and raw and np.ndim(raw[0]):  # predict_proba of a multi-output estimator
        parts = [
            (f"{stem}_{output}", part, _labels(classes[output] if _is_nested(classes) else None, part))
            for output, part in enumerate(raw)
        ]
    else:
        names_classes = method in (Method.PREDICT_PROBA, Method.DECISION_FUNCTION) and not _is_nested(classes)
        parts = [(stem, raw, _labels(classes if names_classes else None, raw))]
    columns: dict[str, Any] = {}
    for prefix, part, labels in parts:
        arrays = _arrays(part)
        is_alone = len(arrays) == 1 and method is not Method.TRANSFORM
        for array, label in zip(arrays, labels, strict=True):
            columns[prefix if is_alone else f"{prefix}_{label}"] = _exact(array)
    return columns


def _arrays(raw: Any) -> list[Any]:
    """The columns of an array of shape (n,) or (n, k), a sparse one, or a DataFrame."""
    if isinstance(raw, pd.DataFrame):
        return [raw.iloc[:, index].to_numpy() for index in range(raw.shape[1])]
    array = raw.toarray() if hasattr(raw, "toarray") else np.asarray(raw)
    return [array] if array.ndim == 1 else list(array.reshape(len(array), _width(array)).T)


def _labels(classes: Any, raw: Any) -> list[str]:
    width = _width(raw)
    labels = [each if isinstance(each, str) else json.dumps(each) for each in classes or ()]
    # One against one has more columns than classes; a label may be there as a word and as a number.
    is_usable = len(labels) == width and len(set(labels)) == width
    return labels if is_usable else [str(index) for index in range(width)]


def _width(raw: Any) -> int:
    return int(np.prod(np.shape(raw)[1:]))


def _is_nested(classes: Any) -> bool:
    return bool(classes) and isinstance(classes[0], list)


def _exact(array: Any) -> Any:
    return array.astype("float64") if array.dtype.kind == "f" else array
