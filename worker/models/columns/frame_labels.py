"""Makes the names of a frame's columns from labels, with the classes, dtypes and levels that they had at the fit."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.dtypes import OBJECT_KINDS
from queuecast.domain.columns.labels import RANGE, FrameLabels, Label, LabelLevel
from queuecast.domain.signature import Column, ColumnType
from worker.models.columns.typed_columns import arrow_values, typed_values

_MISSING = {"NoneType": None, "NAType": pd.NA, "NaTType": pd.NaT}


def _boolean(text: str) -> bool:
    return text == "True"


_PLAIN: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float, "bool": _boolean}
_OF_NUMPY: dict[str, Callable[[str], Any]] = {"b": _boolean, "i": int, "u": int, "f": float}


@lru_cache(maxsize=64)
def index_of(labels: FrameLabels) -> Any:
    """Raises ValueError, TypeError or KeyError for labels that no frame can have had."""
    indexes = [_index(level) for level in labels.levels]
    if not labels.is_multi:
        return indexes[0]
    return pd.MultiIndex.from_arrays(indexes, names=[index.name for index in indexes])


def _index(level: LabelLevel) -> Any:
    names = [_name(label) for label in level.labels]
    name = _name(level.name)
    if level.dtype == RANGE:
        step = names[1] - names[0] if len(names) > 1 else 1
        return pd.RangeIndex(names[0], names[0] + step * len(names), step, name=name)
    if not level.dtype:
        return pd.Index(names, name=name, tupleize_cols=False)
    return pd.Index(names, dtype=level.dtype, name=name, tupleize_cols=False)


def _name(label: Label) -> Any:
    kind, value = label
    if kind == "tuple":
        return tuple(_name(part) for part in value)
    if kind in _MISSING:
        return _MISSING[kind]
    if kind in _PLAIN:
        return _PLAIN[kind](value)
    if kind == "Period":
        return pd.Period(value[0], freq=value[1])
    if kind.startswith("numpy."):
        dtype = np.dtype(kind.removeprefix("numpy."))
        return dtype.type(_OF_NUMPY[dtype.kind](value))
    column = Column("", ColumnType(OBJECT_KINDS[kind.partition(",")[0]]), nullable=False, dtype="object", inner=kind)
    return typed_values(column.type, kind, arrow_values(column, [value]))[0]
