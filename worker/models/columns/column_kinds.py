"""Learns the kind of a column from its values: from the dtype, and from the objects if it holds Python objects."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.dtypes import OBJECT_KINDS, kind_named
from queuecast.domain.columns.whole_numbers import EXACT_FLOAT
from queuecast.domain.errors import ModelRefusedError
from queuecast.domain.signature import INT64_MAX, INT64_MIN, ColumnType
from queuecast.tables.plain_values import class_of_objects
from worker.models.columns.typed_columns import can_be_rebuilt

_OBJECT_TYPES = {
    "string": ColumnType.STRING,
    "boolean": ColumnType.BOOLEAN,
    "empty": ColumnType.STRING,
    "integer": ColumnType.INTEGER,
    "floating": ColumnType.NUMBER,
    "mixed-integer-float": ColumnType.NUMBER,
}
_NUMPY_TYPES = {"b": ColumnType.BOOLEAN, "i": ColumnType.INTEGER, "u": ColumnType.INTEGER, "f": ColumnType.NUMBER}
_SERVED = "numbers, strings, booleans, dates, times, durations or decimals, of one type"


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """inner: as in `Column`."""

    type: ColumnType
    inner: str = ""


def kind_of(name: str, values: Any) -> ColumnKind:
    """values: a Series. Raises ModelRefusedError for values that JSON cannot carry."""
    if values.dtype == "category":
        categories = values.cat.categories.to_series()
        of_categories = kind_of(name, categories)
        return replace(of_categories, inner=of_categories.inner or str(categories.dtype))
    if values.dtype == object:
        return _kind_of_objects(name, values)
    kind = kind_named(str(values.dtype))
    if kind is not None and can_be_rebuilt(str(values.dtype)):
        return ColumnKind(ColumnType(kind))
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in _NUMPY_TYPES:
        return ColumnKind(_NUMPY_TYPES[values.dtype.kind])
    if kind == "datetime":
        hint = f"it has a time zone without a name that other machines know; use frame[{name!r}].dt.tz_convert('UTC')"
        raise ModelRefusedError(f"column {name!r} is {values.dtype}; {hint}", code="unsupported_column")
    raise _unsupported(name, values.dtype)


def _kind_of_objects(name: str, values: Any) -> ColumnKind:
    kind = _OBJECT_TYPES.get(pd.api.types.infer_dtype(values, skipna=True))
    if kind in (ColumnType.INTEGER, ColumnType.NUMBER):
        _require_exact(name, values, kind)
    if kind is not None:
        return ColumnKind(kind)
    try:
        of_class = class_of_objects(values)
    except ValueError as error:
        raise ModelRefusedError(f"column {name!r} {error}", code="unsupported_column") from None
    if not of_class:
        raise _unsupported(name, values.dtype)
    return ColumnKind(ColumnType(OBJECT_KINDS[of_class.partition(",")[0]]), of_class)


def _require_exact(name: str, values: Any, kind: ColumnType) -> None:
    """Whole numbers travel with 64 bits. Among fractions they become floats, which hold every one up to 2**53."""
    low, high = (INT64_MIN, INT64_MAX) if kind is ColumnType.INTEGER else (-int(EXACT_FLOAT), int(EXACT_FLOAT))
    for value in values:
        if isinstance(value, int | np.integer) and not low <= value <= high:
            raise ModelRefusedError(
                f"column {name!r} holds {value} as a Python object; expected whole numbers from {low} to {high}"
                + (", because others beside it are fractions" if kind is ColumnType.NUMBER else ""),
                code="unsupported_column",
            )


def _unsupported(name: str, dtype: Any) -> ModelRefusedError:
    return ModelRefusedError(
        f"column {name!r} is {dtype}; expected {_SERVED}. Turn it into numbers or strings before the estimator's first "
        "step",
        code="unsupported_column",
    )
