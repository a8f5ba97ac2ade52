"""Learns the signature of an estimator: column types from its training rows, nullability and methods by trying them.

So the gateway refuses exactly the rows that the estimator would refuse.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from queuecast.domain.columns.dtypes import kind_named
from queuecast.domain.errors import ModelRefusedError, exception_text
from queuecast.domain.signature import Column, ColumnType, Layout, Missing, Signature
from queuecast.domain.work import Method
from worker.models.column_facts import ColumnFacts, learn_facts
from worker.models.column_kinds import kind_of
from worker.models.frames import frame_of, rows_of, scalar
from worker.models.inference import infer_frame
from worker.models.typed_columns import ARROW

_WITHOUT_MISSING = ("int", "uint", "Sparse[int", "Sparse[uint", "Sparse[bool")


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows and their outputs in the notebook, or when the version was made.

    outputs: method -> one output for each row.
    """

    rows: list[Any]
    outputs: dict[str, list[Any]]


def learn_signature(
    estimator: Any, training_rows: Any, known: Mapping[str, ColumnFacts] | None = None
) -> tuple[Signature, Golden]:
    """training_rows: some rows that the estimator was fitted on, a DataFrame or a 2-D array, at least one row.

    known: facts about columns, by name, that these rows need not show.
    Raises ModelRefusedError for a column that JSON cannot carry, and for an estimator without a usable method.
    """
    layout = Layout.FRAME if isinstance(training_rows, pd.DataFrame) else Layout.ARRAY
    known = known or {}
    columns = tuple(_of_known_kind(column, known.get(column.name)) for column in _columns(training_rows))
    facts = learn_facts(estimator, columns, training_rows, known)
    columns = tuple(
        replace(column, missing=facts[column.name].first_missing, words=facts[column.name].words) for column in columns
    )
    sample = training_rows[:20]
    outputs = _try_methods(estimator, sample)
    methods = tuple(Method(name) for name in outputs)
    signature = Signature(layout, columns, methods)
    rows = rows_of(signature, sample)
    for column in columns:
        _require_one_missing_value(estimator, signature, rows, column, facts[column.name].missing)
    signature = Signature(layout, _with_nullable(estimator, signature, rows), methods, tuple(rows[:3]))
    _require_same_outputs(estimator, signature, rows, outputs)
    return signature, Golden(rows, outputs)


def _columns(training_rows: Any) -> tuple[Column, ...]:
    if isinstance(training_rows, pd.DataFrame):
        return tuple(_column(str(name), training_rows[name]) for name in training_rows.columns)
    series = pd.Series(training_rows.ravel())
    dtype = training_rows.dtype.name
    return tuple(_column(f"x{index}", series, dtype) for index in range(training_rows.shape[1]))


def _column(name: str, values: Any, dtype: str | None = None) -> Column:
    """The column, not nullable for now."""
    kind = kind_of(name, values)
    dtype = dtype or str(values.dtype)
    if dtype == "category":
        categories = tuple(scalar(value) for value in values.cat.categories)
        return Column(
            name,
            kind.type,
            nullable=False,
            dtype=dtype,
            categories=categories,
            inner=kind.inner,
            is_ordered=bool(values.cat.ordered),
        )
    dtype = "str" if dtype.startswith("str") and dtype not in ("string", "string[pyarrow]") else dtype
    return Column(name, kind.type, nullable=False, dtype=dtype, inner=kind.inner)


def _of_known_kind(column: Column, facts: ColumnFacts | None) -> Column:
    """The column, with the kind that its objects are known to have if these rows have missing values only."""
    if facts is None or not facts.inner or column.inner or column.dtype != "object":
        return column
    return replace(column, type=ColumnType(kind_named(facts.inner) or column.type), inner=facts.inner)


def _try_methods(estimator: Any, sample: Any) -> dict[str, list[Any]]:
    """The outputs of the methods that return one for each row."""
    outputs: dict[str, list[Any]] = {}
    problem = "it has none of them"
    for method in Method:
        if hasattr(estimator, method.value):
            try:
                output = infer_frame(estimator, method, sample)
            except Exception as error:  # an estimator raises what it likes
                problem = f"{method.value} raised {exception_text(error)}"
            else:
                if len(output) == len(sample):
                    outputs[method.value] = output
    if not outputs:
        raise ModelRefusedError(
            f"no method of {', '.join(Method)} answers the example rows: {problem}", code="no_usable_method"
        )
    return outputs


def _with_nullable(estimator: Any, signature: Signature, rows: list[Any]) -> tuple[Column, ...]:
    tried = rows[:5]
    candidates = [i for i, column in enumerate(signature.columns) if _can_be_missing(column, signature.layout)]
    # All together first: one call instead of one for each column, if the pipeline imputes all of them as usual.
    if candidates and _accepts_nulls(estimator, signature, tried, candidates):
        nullable = set(candidates)
    else:
        nullable = {index for index in candidates if _accepts_nulls(estimator, signature, tried, [index])}
    return tuple(replace(column, nullable=index in nullable) for index, column in enumerate(signature.columns))


def _require_one_missing_value(
    estimator: Any, signature: Signature, rows: list[Any], column: Column, kinds: tuple[Missing, ...]
) -> None:
    """Raises ModelRefusedError if the column holds several kinds of missing values with different answers.

    JSON, CSV and Parquet have one missing value, so it could not be known which of them a row had.
    """
    if len(kinds) < 2:
        return
    at = signature.columns.index(column)
    key = at if signature.layout is Layout.ARRAY else column.name
    emptied = [row.copy() for row in rows[:5]]
    for row in emptied:
        row[key] = None
    answers = []
    for kind in kinds:
        columns = (*signature.columns[:at], replace(column, missing=kind), *signature.columns[at + 1 :])
        answers.append(_answers_or_errors(estimator, replace(signature, columns=columns), emptied))
    for method in signature.methods:
        first, *others = (answer[method] for answer in answers)
        if not all(_same_answer(other, first) for other in others):
            names = " and ".join(kinds)
            raise ModelRefusedError(
                f"column {column.name!r} holds {names}, which {method} answers differently; a row that is sent has one "
                f"missing value only. Fit on one of them: frame[{column.name!r}].fillna(float('nan'))",
                code="unsupported_column",
            )


def _answers_or_errors(estimator: Any, signature: Signature, rows: list[Any]) -> dict[Method, list[Any] | None]:
    answers: dict[Method, list[Any] | None] = {}
    for method in signature.methods:
        answers[method] = None
        with suppress(Exception):  # an estimator raises what it likes
            answers[method] = infer_frame(estimator, method, frame_of(signature, rows))
    return answers


def _same_answer(left: list[Any] | None, right: list[Any] | None) -> bool:
    if left is None or right is None:
        return left is right
    return is_same_output(left, right)


def _can_be_missing(column: Column, layout: Layout) -> bool:
    """Whether the dtype has a missing value: numpy's integers, booleans and strings have none."""
    is_string_array = layout is Layout.ARRAY and column.dtype == "str"
    has_none = column.dtype == "bool" or column.dtype.startswith(_WITHOUT_MISSING)
    return not is_string_array and (column.dtype.endswith(ARROW) or not has_none)


def _accepts_nulls(estimator: Any, signature: Signature, rows: list[Any], at: list[int]) -> bool:
    """Whether the estimator has an output for rows with null in the columns `at`."""
    keys = at if signature.layout is Layout.ARRAY else [signature.columns[index].name for index in at]
    rows = [row.copy() for row in rows]
    for row in rows:
        for key in keys:
            row[key] = None
    try:
        output = infer_frame(estimator, signature.methods[0], frame_of(signature, rows))
    except Exception:  # an estimator raises what it likes
        return False
    return not any(isinstance(value, float) and math.isnan(value) for value in output)


def _require_same_outputs(
    estimator: Any, signature: Signature, rows: list[Any], expected: dict[str, list[Any]]
) -> None:
    """Rows that went through JSON and back must get the same outputs as the original rows."""
    for method in signature.methods:
        output = infer_frame(estimator, method, frame_of(signature, rows))
        if not is_same_output(output, expected[method.value]):
            raise ModelRefusedError(
                f"{method.value} answers rows that travelled as JSON differently from the example rows themselves",
                code="not_reproducible",
            )


def first_difference(found: list[Any] | str, expected: list[Any], tolerance: float) -> int | None:
    """The first row with another answer. expected: JSON values, null for numbers that are not finite. found: an error
    in words is another answer for every row.

    Labels identical, floats within `tolerance` relative to the largest of their column: a sum that cancels out to
    almost nothing differs by that much between machines.
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


def is_same_output(found: list[Any], expected: list[Any]) -> bool:
    """Labels identical, floats within 1e-9 relative: BLAS kernels differ in the last bits by batch shape."""
    pairs = zip_longest(_by_target(found), _by_target(expected), fillvalue=())
    return all(_same_arrays(left, right) for left, right in pairs)


def _by_target(output: list[Any]) -> list[Any]:
    """Splits the probabilities of several targets, because the targets have different numbers of classes."""
    has_targets = bool(output) and isinstance(output[0], list) and bool(output[0]) and np.ndim(output[0][0]) > 0
    return list(zip(*output, strict=True)) if has_targets else [output]


def _same_arrays(found: Any, expected: Any) -> bool:
    left, right = np.asarray(found), np.asarray(expected)
    if left.shape != right.shape:
        return False
    if left.dtype.kind == "f" or right.dtype.kind == "f":
        return bool(np.allclose(left.astype(float), right.astype(float), rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(np.array_equal(left, right))
