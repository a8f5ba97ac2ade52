"""Learns the signature of an estimator: types from the rows it was fitted on, nullability and methods by trying. So
the gateway refuses exactly the rows that the estimator would refuse.
"""

import math
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.errors import ModelRefusedError, raised
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.models.frames import frame_of, rows_of, scalar
from worker.models.inference import outputs

EXAMPLE_ROWS = 3
GOLDEN_ROWS = 20
PROBED_ROWS = 5
_TYPES = {"b": ColumnType.BOOLEAN, "i": ColumnType.INTEGER, "u": ColumnType.INTEGER, "f": ColumnType.NUMBER}
_WORD_TYPES = {"string": ColumnType.STRING, "boolean": ColumnType.BOOLEAN, "empty": ColumnType.STRING}


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows with the outputs they had when the version was made: {method: one output a row}."""

    rows: list[Any]
    outputs: dict[str, list[Any]]


def learn_signature(estimator: Any, known: Any) -> tuple[Signature, Golden]:
    """known: rows of the kind that the estimator was fitted on, a DataFrame or a 2-D array, at least one row.

    Raises ModelRefusedError for a column that cannot travel as JSON, and for an estimator without a usable method.
    """
    layout = Layout.FRAME if isinstance(known, pd.DataFrame) else Layout.ARRAY
    columns = _columns(known)
    sample = known[:GOLDEN_ROWS]
    methods, found = _methods(estimator, sample)
    signature = Signature(layout, columns, methods)
    rows = rows_of(signature, sample)
    signature = Signature(layout, _with_nullable(estimator, signature, rows), methods, tuple(rows[:EXAMPLE_ROWS]))
    _require_same_answers(estimator, signature, rows, found)
    return signature, Golden(rows, found)


def _columns(known: Any) -> tuple[Column, ...]:
    if isinstance(known, pd.DataFrame):
        return tuple(_column(str(name), known[name]) for name in known.columns)
    series = pd.Series(known.ravel())
    return tuple(_column(f"x{index}", series, known.dtype.name) for index in range(known.shape[1]))


def _column(name: str, values: Any, dtype: str | None = None) -> Column:
    """A column that is not nullable yet. An integer or boolean numpy column has no way to say "missing" at all."""
    dtype = dtype or str(values.dtype)
    if dtype == "category":
        if _kind(name, values.cat.categories) is ColumnType.NUMBER:
            raise ModelRefusedError(
                f"column {name!r} has categories with a fraction; expected strings or whole numbers"
            )
        categories = tuple(scalar(value) for value in values.cat.categories)
        return Column(name, _kind(name, values.cat.categories), nullable=False, dtype=dtype, categories=categories)
    return Column(name, _kind(name, values), nullable=False, dtype="str" if dtype.startswith("str") else dtype)


def _kind(name: str, values: Any) -> ColumnType:
    kind = _TYPES.get(getattr(values.dtype, "kind", "O"))
    if kind is None and not pd.api.types.is_datetime64_any_dtype(values):
        kind = _WORD_TYPES.get(pd.api.types.infer_dtype(values, skipna=True))
    if kind is None:
        raise ModelRefusedError(
            f"column {name!r} is {values.dtype}; expected numbers, strings or booleans, one kind a column. Turn it "
            "into numbers or strings before the estimator's first step",
            code="unsupported_column",
        )
    return kind


def _methods(estimator: Any, sample: Any) -> tuple[tuple[Method, ...], dict[str, list[Any]]]:
    """The methods that answer `sample`, and their answers."""
    found: dict[str, list[Any]] = {}
    problem = "it has none of them"
    for method in Method:
        if hasattr(estimator, method.value):
            try:
                answered = outputs(estimator, method, sample)
            except Exception as error:  # an estimator raises what it likes
                problem = f"{method.value} raised {raised(error)}"
            else:
                if len(answered) == len(sample):
                    found[method.value] = answered
    if not found:
        raise ModelRefusedError(
            f"no method of {', '.join(Method)} answers the example rows: {problem}", code="no_usable_method"
        )
    return tuple(Method(name) for name in found), found


def _with_nullable(estimator: Any, signature: Signature, rows: list[Any]) -> tuple[Column, ...]:
    probed = rows[:PROBED_ROWS]
    candidates = [i for i, column in enumerate(signature.columns) if _can_be_missing(column, signature.layout)]
    # All at once first: one call instead of one a column for the usual pipeline with imputers.
    if candidates and _takes_nulls(estimator, signature, probed, candidates):
        accepted = set(candidates)
    else:
        accepted = {index for index in candidates if _takes_nulls(estimator, signature, probed, [index])}
    return tuple(
        Column(column.name, column.type, index in accepted, column.dtype, column.categories)
        for index, column in enumerate(signature.columns)
    )


def _can_be_missing(column: Column, layout: Layout) -> bool:
    """Whether the dtype has a way to say "missing" at all: numpy's integers, booleans and words have none."""
    is_word_array = layout is Layout.ARRAY and column.dtype == "str"
    return not is_word_array and column.dtype != "bool" and not column.dtype.startswith(("int", "uint"))


def _takes_nulls(estimator: Any, signature: Signature, rows: list[Any], at: list[int]) -> bool:
    keys = at if signature.layout is Layout.ARRAY else [signature.columns[index].name for index in at]
    for row in (holed := [row.copy() for row in rows]):
        for key in keys:
            row[key] = None
    try:
        answered = outputs(estimator, signature.methods[0], frame_of(signature, holed))
    except Exception:  # the estimator says no, whatever its words
        return False
    return not any(isinstance(value, float) and math.isnan(value) for value in answered)


def _require_same_answers(estimator: Any, signature: Signature, rows: list[Any], found: dict[str, list[Any]]) -> None:
    """Rows that went through JSON and back must get the same answers as the original rows."""
    for method in signature.methods:
        rebuilt = outputs(estimator, method, frame_of(signature, rows))
        if not same_answers(rebuilt, found[method.value]):
            raise ModelRefusedError(
                f"{method.value} answers rows that travelled as JSON differently from the example rows themselves",
                code="not_reproducible",
            )


def same_answers(found: list[Any], expected: list[Any]) -> bool:
    """Labels identical, floats within 1e-9 relative: BLAS kernels differ in the last bits by batch shape."""
    pairs = zip_longest(_by_output(found), _by_output(expected), fillvalue=())
    return all(_same_arrays(left, right) for left, right in pairs)


def _by_output(answers: list[Any]) -> list[Any]:
    """The probabilities of several outputs one by one: their numbers of classes differ."""
    is_nested = np.ndim(answers[0][0]) > 0 if answers and isinstance(answers[0], list) and answers[0] else False
    return list(zip(*answers, strict=True)) if is_nested else [answers]


def _same_arrays(found: Any, expected: Any) -> bool:
    left, right = np.asarray(found), np.asarray(expected)
    if left.shape != right.shape:
        return False
    if left.dtype.kind == "f" or right.dtype.kind == "f":
        return bool(np.allclose(left.astype(float), right.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(np.array_equal(left, right))
