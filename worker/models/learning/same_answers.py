"""When two answers are the same: the one rule for a pushed model, for its rows by every format, and for its trials."""

import math
from typing import Any

import numpy as np


def is_same_answer(found: list[Any] | None, expected: list[Any] | None) -> bool:
    """None: the estimator raised an error, which is the same as another error."""
    if found is None or expected is None:
        return found is expected
    return first_difference(found, expected) is None


def first_difference(found: list[Any] | str, expected: list[Any], tolerance: float = 1e-9) -> int | None:
    """The first row with another answer. expected: JSON values, null for numbers that are not finite. found: an error
    in words is another answer for every row.

    Labels identical, floats within `tolerance` relative to the largest of their column: a sum that cancels out to
    almost nothing differs by that much between machines, and BLAS kernels differ in the last bits by batch shape.
    """
    if isinstance(found, str) or len(found) != len(expected):
        return 0
    lefts, rights = (_by_target(_with_nan(output)) for output in (found, expected))
    if len(lefts) != len(rights):
        return 0
    rows = [
        _first_different_row(np.asarray(left), np.asarray(right), tolerance)
        for left, right in zip(lefts, rights, strict=True)
    ]
    return min((row for row in rows if row is not None), default=None)


def _by_target(output: list[Any]) -> list[Any]:
    """Splits the probabilities of several targets, because the targets have different numbers of classes."""
    has_targets = bool(output) and isinstance(output[0], list) and bool(output[0]) and np.ndim(output[0][0]) > 0
    return list(zip(*output, strict=True)) if has_targets else [output]


def _first_different_row(left: Any, right: Any, tolerance: float) -> int | None:
    if left.shape != right.shape:
        return 0
    if "f" in (left.dtype.kind, right.dtype.kind) and {left.dtype.kind, right.dtype.kind} <= set("biuf"):
        scale = np.abs(np.where(np.isfinite(right), right, 0.0)).max(axis=0, initial=0.0)
        is_same = np.isclose(left, right, rtol=tolerance, atol=1e-12 + tolerance * scale, equal_nan=True)
    else:
        is_same = left.astype(object) == right.astype(object)
    different = np.flatnonzero(~is_same.reshape(len(right), -1).all(axis=1))
    return int(different[0]) if len(different) else None


def _with_nan(value: Any) -> Any:
    """Nested lists with NaN for every number that is not finite."""
    if isinstance(value, list):
        return [_with_nan(each) for each in value]
    return math.nan if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
