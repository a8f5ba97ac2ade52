"""Turns the output of an estimator's method into plain values: a list of rows for JSON, named columns for files.

An output is an array of shape (n,) or (n, k), a sparse matrix, a DataFrame, or, from `predict_proba` of an estimator
with several targets, a list of arrays.
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.missing_values import is_missing
from queuecast.domain.work import MAX_SPARSE_COLUMNS, Method
from queuecast.tables.plain_values import text_of

MAX_SPARSE_CELLS = 10_000_000  # a sparse output of 4 MB may be 80 GB of zeros

_COLUMN_NAMES = {
    Method.PREDICT: "prediction",
    Method.PREDICT_PROBA: "probability",
    Method.DECISION_FUNCTION: "decision",
    Method.TRANSFORM: "transform",
    Method.SCORE_SAMPLES: "score",
}

_PLAIN = {str, int, float, bool, type(None)}


def output_rows(output: Any) -> list[Any]:
    """One plain value, list or nested list for each row."""
    if _has_several_targets(output):
        return [list(row) for row in zip(*map(_plain, output), strict=True)]
    return _plain(output)


def output_columns(method: Method, output: Any, classes: Any) -> dict[str, Any]:
    """Name -> array (n,), in the order of the output. classes: the manifest's.

    Floats become float64, and dates text, so that every file format has the same values.
    """
    name = _COLUMN_NAMES[method]
    has_targets_classes = bool(classes) and isinstance(classes[0], list)
    if _has_several_targets(output):
        targets_classes = classes if has_targets_classes else [None] * len(output)
        parts = [
            (f"{name}_{target}", array, _labels(targets_classes[target], array)) for target, array in enumerate(output)
        ]
    else:
        is_of_classes = method in (Method.PREDICT_PROBA, Method.DECISION_FUNCTION) and not has_targets_classes
        parts = [(name, output, _labels(classes if is_of_classes else None, output))]
    columns: dict[str, Any] = {}
    for prefix, part, labels in parts:
        arrays = _split_columns(part)
        needs_label = len(arrays) > 1 or method is Method.TRANSFORM
        for array, label in zip(arrays, labels, strict=True):
            columns[f"{prefix}_{label}" if needs_label else prefix] = _as_float64(array)
    return columns


def require_length(found: int, expected: int) -> None:
    """An estimator may return fewer or more rows than it was given; they could not be matched."""
    if found != expected:
        raise ValueError(f"found {found} answers, expected {expected}")


def class_labels(estimator: Any) -> Any:
    """`classes_` as plain values: None if there are none, a list of lists for an estimator with several targets."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    return [_plain(labels) for labels in classes] if isinstance(classes, list) else _plain(classes)


def _has_several_targets(output: Any) -> bool:
    return isinstance(output, list) and bool(output) and np.ndim(output[0]) > 0


def require_sendable(output: Any) -> None:
    """Raises ValueError for an output that is too wide to be sent, such as the words of a whole corpus."""
    width = int(output.shape[1]) if hasattr(output, "toarray") else 0
    if width > MAX_SPARSE_COLUMNS:
        raise ValueError(
            f"the output has {width:,} columns, expected at most {MAX_SPARSE_COLUMNS:,}: set max_features or "
            "n_features, or end the pipeline with a classifier, a regressor or TruncatedSVD"
        )


def rows_within_bounds(output: Any) -> int | None:
    """How many rows of a sparse output are answered at once; None for a dense one, which is in memory already."""
    return max(1, MAX_SPARSE_CELLS // max(output.shape[1], 1)) if hasattr(output, "toarray") else None


def _dense(output: Any) -> Any:
    most = rows_within_bounds(output)
    if most is None:
        return np.asarray(output)
    if output.shape[0] > most:
        raise ValueError(
            f"the output has {output.shape[0]:,} rows of {output.shape[1]:,} columns, expected at most {most:,} such "
            "rows in one call; send fewer rows"
        )
    return output.toarray()


def _plain(output: Any) -> list[Any]:
    array = _dense(output)
    values: list[Any] = _with_texts(array) if _needs_text(array) else array.tolist()
    return values


def _needs_text(array: Any) -> bool:
    """Whether there may be dates, times, durations or decimals in it."""
    kind = array.dtype.kind
    return kind in "mM" or (kind == "O" and not set(map(type, array.ravel().tolist())) <= _PLAIN)


def _with_texts(values: Any) -> list[Any]:
    """Nested lists with dates, times, durations and decimals as text. numpy would make integers of dates in a list."""
    return [_with_texts(value) if isinstance(value, list | np.ndarray) else _as_text(value) for value in values]


def _as_text(value: Any) -> Any:
    if isinstance(value, str | float | int):
        return value
    text = text_of(value)
    return None if text is None and is_missing(value) else text or value


def _split_columns(output: Any) -> list[Any]:
    if isinstance(output, pd.DataFrame):
        return [output.iloc[:, index].to_numpy() for index in range(output.shape[1])]
    array = _dense(output)
    return [array] if array.ndim == 1 else list(array.reshape(len(array), _width(array)).T)


def _labels(classes: Any, output: Any) -> list[str]:
    width = _width(output)
    labels = [label if isinstance(label, str) else json.dumps(label) for label in classes or ()]
    # A one-against-one output has more columns than classes, and `1` and `"1"` are two classes with one label.
    is_usable = len(labels) == width and len(set(labels)) == width
    return labels if is_usable else [str(index) for index in range(width)]


def _width(output: Any) -> int:
    return int(np.prod(np.shape(output)[1:]))


def _as_float64(array: Any) -> Any:
    if _needs_text(array):
        return pd.Series(_with_texts(array), dtype=object).to_numpy()
    return array.astype("float64") if array.dtype.kind == "f" else array
