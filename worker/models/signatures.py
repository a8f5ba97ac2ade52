"""Learns the signature of an estimator: column types from its training rows, nullability and methods by trying them.

So the gateway refuses exactly the rows that the estimator would refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from scipy.sparse import issparse

from queuecast.domain.columns.dtypes import kind_named
from queuecast.domain.columns.labels import FrameLabels, numbered
from queuecast.domain.errors import ModelRefusedError, exception_text
from queuecast.domain.signature import Column, ColumnType, Layout, Signature
from queuecast.domain.work import Method
from worker.models.columns.column_facts import ColumnFacts, learn_facts
from worker.models.columns.column_kinds import kind_of
from worker.models.frames import as_fitted, frame_of, rows_of, scalar
from worker.models.golden_rows import Golden
from worker.models.inference import infer_frame
from worker.models.learning.missing_kinds import with_one_missing_value
from worker.models.learning.nullability import with_nullable
from worker.models.learning.same_answers import is_same_answer
from worker.models.learning.shared_steps import encoders_shared
from worker.models.learning.unread_columns import unread_columns
from worker.models.model_output import output_rows, require_sendable


@dataclass(frozen=True, slots=True)
class Naming:
    """names: of the columns of an array, if the caller has some. labels: of a frame whose names are not all text."""

    names: tuple[str, ...] = ()
    labels: FrameLabels | None = None

    @classmethod
    def of(cls, signature: Signature) -> "Naming":
        return cls(tuple(column.name for column in signature.columns), signature.labels)


def learn_signature(
    estimator: Any,
    training_rows: Any,
    known: Mapping[str, ColumnFacts] | None = None,
    earlier: Signature | None = None,
    *,
    naming: Naming = Naming(),
    may_be_unread: bool = True,
) -> tuple[Signature, Golden]:
    """training_rows: some rows that the estimator was fitted on, at least one: a DataFrame, a 2-D array or a sparse
    matrix.

    A DataFrame has text names here. known: facts about columns, by name, that these rows need not show. earlier: the
    signature of the champion, whose unread columns these rows do not show either.
    may_be_unread: False where the rows of a later fit need all columns.
    Raises ModelRefusedError for a column that JSON cannot carry, and for an estimator without a usable method.
    """
    sparse = type(training_rows).__name__ if issparse(training_rows) else ""
    if sparse:
        training_rows = training_rows.tocsr()[:20].toarray()  # numbers, whose dtype says all
    layout = Layout.FRAME if isinstance(training_rows, pd.DataFrame) else Layout.ARRAY
    known = known or {}
    sample = training_rows[:20]
    with encoders_shared(estimator, training_rows.shape[1]):
        outputs = try_methods(estimator, as_fitted(sparse, sample, naming.labels), len(sample))
        unread: frozenset[str] = frozenset()
        if may_be_unread and naming.labels is None:  # others go by their place, so each of them is asked for
            unread = unread_columns(estimator, sample, outputs)
        columns = _columns(training_rows, unread, naming.names)
        columns = tuple(_of_known_kind(column, known.get(column.name)) for column in columns)
        if unread and earlier is not None:
            before = {column.name: column for column in earlier.columns if column.name in unread and not column.read}
            columns = tuple(before.get(column.name, column) for column in columns)
        facts = learn_facts(estimator, columns, training_rows, known)
        columns = tuple(
            replace(column, missing=facts[column.name].first_missing, words=facts[column.name].words)
            if column.read
            else column
            for column in columns
        )
        methods = tuple(Method(name) for name in outputs)
        signature = Signature(layout, columns, methods, sparse=sparse, labels=naming.labels)
        rows = rows_of(signature, sample)
        columns = with_nullable(estimator, signature, rows, outputs)
        signature = replace(signature, columns=columns, example=tuple(rows[:3]))
        signature = with_one_missing_value(estimator, signature, rows, facts)
        require_same_outputs(estimator, signature, rows, outputs)
    return signature, Golden(rows, outputs)


def _columns(training_rows: Any, unread: frozenset[str], names: Sequence[str]) -> tuple[Column, ...]:
    if isinstance(training_rows, pd.DataFrame):
        return tuple(
            _unread_column(str(name), training_rows[name])
            if name in unread
            else _column(str(name), training_rows[name])
            for name in training_rows.columns
        )
    names = names or numbered(training_rows.shape[1])
    if training_rows.dtype == object:  # a frame with columns of several dtypes became one array
        return tuple(
            _column(name, pd.Series(training_rows[:, index], dtype=object)) for index, name in enumerate(names)
        )
    # The columns of another array have one dtype, so one of them is looked at for all.
    column = _column(names[0], pd.Series(training_rows.ravel()), training_rows.dtype.name)
    return tuple(replace(column, name=name) for name in names)


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


def _unread_column(name: str, values: Any) -> Column:
    """Of a kind that cannot be served, it is a column of objects."""
    try:
        return replace(_column(name, values), read=False)
    except ModelRefusedError:
        return Column(name, ColumnType.STRING, nullable=True, dtype="object", read=False)


def _of_known_kind(column: Column, facts: ColumnFacts | None) -> Column:
    """The column, with the kind that its objects are known to have if these rows have missing values only."""
    if facts is None or not facts.inner or column.inner or column.dtype != "object":
        return column
    return replace(column, type=ColumnType(kind_named(facts.inner) or column.type), inner=facts.inner)


def try_methods(estimator: Any, sample: Any, n_rows: int) -> dict[str, list[Any]]:
    """The outputs of the methods that return one for each row."""
    outputs: dict[str, list[Any]] = {}
    problem = "it has none of them"
    for method in Method:
        if hasattr(estimator, method.value):
            try:
                raw = getattr(estimator, method.value)(sample)
                require_sendable(raw)
                output = output_rows(raw)
            except Exception as error:  # an estimator raises what it likes
                problem = f"{method.value} raised {exception_text(error)}"
            else:
                if len(output) == n_rows:
                    outputs[method.value] = output
    if not outputs:
        raise ModelRefusedError(
            f"no method of {', '.join(Method)} answers the example rows: {problem}", code="no_usable_method"
        )
    return outputs


def require_same_outputs(estimator: Any, signature: Signature, rows: list[Any], expected: dict[str, list[Any]]) -> None:
    """Rows that went through JSON and back must get the same outputs as the original rows."""
    frame = as_fitted(signature.sparse, frame_of(signature, rows), signature.labels)
    for method in signature.methods:
        output = infer_frame(estimator, method, frame)
        if not is_same_answer(output, expected[method.value]):
            raise ModelRefusedError(
                f"{method.value} answers rows that travelled as JSON differently from the example rows themselves",
                code="not_reproducible",
            )
