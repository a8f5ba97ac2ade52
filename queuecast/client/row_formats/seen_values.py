"""What the rows of a fit show about a column, for the worker that imports the model.

JSON has one missing value and Python several, and an encoder has another answer for None than for NaN. In a CSV file
"NA" may be a word or a missing value, so the worker has to know the words that the column had.
"""

from collections.abc import Iterable
from typing import Any

from queuecast.domain.columns.missing_values import missing_kind
from queuecast.tables.cells import MISSING_WORDS
from queuecast.tables.plain_values import class_of_objects


def facts_of(column: Any) -> dict[str, Any]:
    """column: a pandas Series or a 1-D array."""
    dtype = str(column.dtype)
    if dtype == "category":
        return _words_fact(column.dtype.categories.tolist())
    if dtype == "object":
        return facts_of_values(column.tolist())
    return _words_fact(column.tolist()) if "str" in dtype or "U" in dtype else {}


def facts_of_values(values: Iterable[Any]) -> dict[str, Any]:
    """The facts about a column of Python objects. Raises ValueError for dates, times or decimals of several classes."""
    values = list(values)
    kinds = {kind for kind in map(missing_kind, values) if kind is not None}
    of_class = class_of_objects(values)
    facts = {"missing": sorted(kinds)} if kinds else {}
    return facts | _words_fact(values) | ({"inner": of_class} if of_class else {})


def _words_fact(values: list[Any]) -> dict[str, Any]:
    present = {value for value in values if isinstance(value, str)}
    words = [word for word in MISSING_WORDS if word in present]
    return {"words": words} if words else {}
