"""Missing values in columns of numpy's integers and booleans. Those have none, so pandas widens the column.

Integers become float64 and booleans become objects. Some estimators answer a wide column otherwise than the one that
they were fitted on, and a float does not hold every integer. So the rows that have such a missing value are a call of
their own, and the other rows keep the dtype of the fit: an answer never depends on the other rows of a request.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from queuecast.domain.signature import Column, Signature
from worker.models.frames import as_fitted, missing_value
from worker.models.model_output import require_length

Part = tuple[Any, Any]
"""The positions of some rows, and their frame or sparse matrix as the estimator takes it."""
Answer = TypeVar("Answer")


def answer_in_parts(signature: Signature, frame: Any, call: Callable[[Any], list[Answer]]) -> list[Answer]:
    """The answers to the rows of a frame of `frame_of` or `build_frame`, in their order.

    call: one answer for each row of a frame. Raises ValueError if it has fewer or more for a part of the rows.
    """
    parts = split_frame(signature, frame)
    if len(parts) == 1:
        return call(parts[0][1])
    answers: list[Any] = [None] * len(frame)
    for positions, part in parts:
        found = call(part)
        require_length(len(found), len(positions))
        for at, answer in zip(positions.tolist(), found, strict=True):
            answers[at] = answer
    return answers


def split_frame(signature: Signature, frame: Any) -> list[Part]:
    """One part, or two: the rows without a missing value in a column that widens, and those with one.

    Their columns have the names of the fit.
    """
    return [
        (positions, as_fitted(signature.sparse, part, signature.labels)) for positions, part in _split(signature, frame)
    ]


def _split(signature: Signature, frame: Any) -> list[Part]:
    is_frame = isinstance(frame, pd.DataFrame)
    held = _held_columns(signature, frame)
    if not held:
        return [(np.arange(len(frame)), frame)]
    gaps = frame[[column.name for column in held]].isna().to_numpy() if is_frame else pd.isna(frame)
    is_missing = gaps.any(axis=1)
    parts = []
    if not is_missing.all():
        rows = frame[~is_missing]
        narrow = {column.name: column.dtype for column in held}
        part = rows.reset_index(drop=True).astype(narrow) if is_frame else rows.astype(held[0].dtype)
        parts.append((np.flatnonzero(~is_missing), part))
    if is_missing.any():
        rows = frame[is_missing]
        rows = rows.reset_index(drop=True) if is_frame else rows
        wide = widened(rows, [each for each in signature.columns if each.widens])
        parts.append((np.flatnonzero(is_missing), wide))
    return parts


def _held_columns(signature: Signature, frame: Any) -> list[Column]:
    """The columns that the frame has in a type which only holds them until the rows are split."""
    widening = [column for column in signature.columns if column.widens]
    if not widening or isinstance(frame, pd.DataFrame):
        return [column for column in widening if not isinstance(frame[column.name].dtype, np.dtype)]
    return widening if frame.dtype == object else []


def widened(frame: Any, columns: Sequence[Column]) -> Any:
    """The frame or array with these columns as pandas or numpy builds them from values of which some are missing."""
    if not columns:
        return frame
    if not isinstance(frame, pd.DataFrame):
        return np.where(pd.isna(frame), np.nan, frame).astype("float64")
    wide = pd.DataFrame({column.name: widened_values(column, frame[column.name]) for column in columns})
    # Column by column, pandas would copy the other columns each time.
    return pd.concat([frame.drop(columns=wide.columns), wide.set_axis(frame.index)], axis=1)[list(frame.columns)]


def widened_values(column: Column, values: Any) -> Any:
    """values: a Series, or an array of pandas."""
    if column.dtype == "bool":
        # A Series, because a frame may convert a plain array of objects.
        return pd.Series(values.to_numpy(dtype=object, na_value=missing_value(column)), dtype=object)
    return values.to_numpy(dtype="float64", na_value=np.nan)
