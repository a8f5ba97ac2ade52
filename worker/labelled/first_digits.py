"""Gives the numbers of an array the digits by which the champion's rows were split.

`frame.values` of columns of single precision and others has doubles, in which the 0.1 of the frame is
0.10000000149011612. The rows may have been split by the frame or by the array, and a file may have either digits, so a
row could change sides. The version's golden rows are some of those that it was fitted on: with the right digits, none
of them is held out.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.labels import numbered
from queuecast.domain.holdout import HoldoutRule, holdout

_DIGITS = {"float16": 5, "float32": 9}  # the most that the text of such a number has
_JSON_DECIMALS = 10  # of pandas.DataFrame.to_json


def with_digits_of_split(
    features: pd.DataFrame, fitted: pd.DataFrame, columns: Sequence[str], rule: HoldoutRule
) -> pd.DataFrame:
    """features: those of the file. fitted: some rows that the version was fitted on. columns: those that decide.

    Both have the same columns. Those that are no numbers of less than double precision stay as they are.
    """
    precisions = {name: found for name in columns if (found := _precision(fitted[name], features[name])) is not None}
    if not precisions:
        return features
    wide, short = (partial(_converted, precisions=precisions, is_wide=is_wide) for is_wide in (True, False))
    forms: list[Callable[[pd.DataFrame], pd.DataFrame]] = [wide, short, lambda frame: frame]
    held_out = [len(holdout(form(fitted), rule.fraction, columns, rule.method).test) for form in forms]
    if 0 in held_out:
        return forms[held_out.index(0)](features)
    # The golden rows have held-out ones among them: then the names of the rule say what was split.
    is_array = set(rule.columns) <= set(numbered(features.shape[1]))
    return (wide if is_array else short)(features)


def _converted(frame: pd.DataFrame, precisions: dict[str, str], *, is_wide: bool) -> pd.DataFrame:
    """is_wide: with the digits of the array, otherwise with those of the frame."""
    columns = {}
    for name, precision in precisions.items():
        values = _floats(frame[name])
        short = values.astype(precision)
        columns[name] = pd.Series(short.astype(values.dtype) if is_wide else short, index=frame.index)
    return frame.assign(**columns)


def _precision(fitted: Any, found: Any) -> str | None:
    """The dtype that a column had before it became one of an array: the values of the one or the other are exact in it,
    with digits that its own text does not have, and the others may be its texts."""
    if not (_is_numeric(fitted) and _is_numeric(found)):
        return None
    sides = [values[np.isfinite(values)] for values in map(_floats, (fitted, found))]
    for precision in _DIGITS:
        if sides[0].dtype == precision:
            return None
        for ours, theirs in (sides, sides[::-1]):
            if _came_from(ours, precision) and _may_be_text(theirs, precision):
                return precision
    return None


def _is_numeric(column: Any) -> bool:
    if column.dtype != object:
        return bool(pd.api.types.is_float_dtype(column.dtype))
    return all(isinstance(value, float) or value is None for value in column)


def _floats(column: Any) -> Any:
    return column.to_numpy(dtype="float64" if column.dtype == object else column.dtype, na_value=np.nan)


def _came_from(values: Any, precision: str) -> bool:
    """A few values show most columns of doubles, so the others are not looked at."""
    is_exact = len(values) > 0 and all(_is_exact(some, precision).all() for some in (values[:20], values))
    return is_exact and not _has_few_digits(values, precision).all()


def _may_be_text(values: Any, precision: str) -> bool:
    allowed = _is_exact(values, precision) | _has_few_digits(values, precision)
    if values.dtype == np.float64:
        with np.errstate(over="ignore"):
            allowed |= np.abs(values.astype(precision).astype("float64") - values) <= 10.0**-_JSON_DECIMALS
    return bool(allowed.all())


def _is_exact(values: Any, precision: str) -> Any:
    with np.errstate(over="ignore"):
        return values.astype(precision).astype(values.dtype) == values


def _has_few_digits(values: Any, precision: str) -> Any:
    doubles = values.astype("float64")
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (_DIGITS[precision] - 1 - np.floor(np.log10(np.abs(doubles))))
        rounded = np.where(doubles == 0, 0.0, np.rint(doubles * scale) / scale)
    if values.dtype == np.float64:
        return np.isclose(rounded, values, rtol=1e-15, atol=0)
    return rounded.astype(values.dtype) == values
