"""What is learned of a column besides its type: the kind of its missing values, and words that look like missing ones.

The rows of the fit show it, and the encoders of the estimator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from queuecast.domain.columns.missing_values import missing_kind
from queuecast.domain.columns.object_rows import ObjectRows
from queuecast.domain.signature import Column, ColumnType, Missing, Signature
from queuecast.tables.cells import MISSING_WORDS
from worker.models.columns.known_values import known_values
from worker.models.columns.typed_columns import ARROW
from worker.models.rows.texts import FORMS_OF_OBJECTS

_NULLABLE_DTYPES = ("Int", "UInt", "Float", "boolean", "string")


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """missing: the kinds of missing values that the column had at the fit, without repetition. words: those of
    `MISSING_WORDS` that it had as values. inner: as in `Column`, of a column of Python objects.

    is_sure: False if the column had no missing value, and `missing` are the kinds that one could be.
    objects: the keys of rows that are dicts.
    """

    missing: tuple[Missing, ...] = ()
    words: tuple[str, ...] = ()
    inner: str = ""
    is_sure: bool = True
    objects: ObjectRows | None = None

    @property
    def first_missing(self) -> Missing:
        return self.missing[0] if self.missing else Missing.NAN


def learn_facts(
    estimator: Any, columns: Sequence[Column], training_rows: Any, known: Mapping[str, ColumnFacts]
) -> dict[str, ColumnFacts]:
    """The facts for each column, by name."""
    learned = known_values(estimator, [column.name for column in columns])
    return {
        column.name: ColumnFacts()
        if not column.read
        else _facts(column, _values(training_rows, index), known.get(column.name, ColumnFacts()), learned[column.name])
        for index, column in enumerate(columns)
    }


def facts_of(signature: Signature) -> dict[str, ColumnFacts]:
    """The facts that a version learned, for its challenger."""
    return {column.name: _learned_facts(column) for column in signature.columns}


def _learned_facts(column: Column) -> ColumnFacts:
    if column.dtype != "object":
        # A list of texts may hold None or NaN, which the column knows if it may be missing.
        missing = (column.missing,) if column.nullable and column.dtype in FORMS_OF_OBJECTS else ()
        return ColumnFacts(missing, column.words, objects=column.objects)
    if column.type is ColumnType.STRING and not column.nullable:
        return ColumnFacts((Missing.NAN, Missing.NONE), column.words, is_sure=False)
    return ColumnFacts((column.missing,), column.words, column.inner)


def kinds_of(values: Any) -> tuple[Missing, ...]:
    """The kinds of missing values among Python objects."""
    missing = set(map(missing_kind, _distinct(values)))
    return tuple(kind for kind in Missing if kind in missing)


def words_of(values: Any) -> tuple[str, ...]:
    """Those of `MISSING_WORDS` that are among Python objects."""
    present = {value for value in _distinct(values) if isinstance(value, str)}
    return tuple(word for word in MISSING_WORDS if word in present)


def _distinct(values: Any) -> Any:
    """pandas is faster for a long column, and Python for the thousands of short ones of a wide table."""
    return pd.unique(pd.Series(values, dtype=object)) if len(values) > 2000 else values


def _missing_of(dtype: str) -> Missing:
    if dtype.startswith(_NULLABLE_DTYPES) or dtype.endswith(ARROW):
        return Missing.NA
    return Missing.NAT if dtype.startswith(("datetime64", "timedelta64")) else Missing.NAN


def _values(training_rows: Any, index: int) -> Any:
    return training_rows.iloc[:, index] if isinstance(training_rows, pd.DataFrame) else training_rows[:, index]


def _facts(column: Column, values: Any, known: ColumnFacts, learned: list[Any]) -> ColumnFacts:
    words: tuple[str, ...] = ()
    if column.type is ColumnType.STRING:
        sources = (known.words, words_of(values), words_of(learned), words_of(column.categories or ()))
        words = tuple(dict.fromkeys(word for source in sources for word in source))
    if column.dtype != "object":
        return ColumnFacts((_missing_of(column.dtype),), words)
    kinds = {*known.missing, *kinds_of(values)} or set(kinds_of(learned)) or {Missing.NAN}
    return ColumnFacts(tuple(kind for kind in Missing if kind in kinds), words, is_sure=known.is_sure)
