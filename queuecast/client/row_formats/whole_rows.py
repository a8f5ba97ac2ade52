"""Rows that are no rows of a table: texts and dicts in a list, a Series, or an array of one dimension.

Recognizes pandas, polars and numpy objects by their attributes, so that the client needs none of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from queuecast.domain.columns.missing_values import is_missing
from queuecast.domain.columns.object_rows import keys_of_rows
from queuecast.domain.holdout.row_source import TEXT
from queuecast.tables.plain_values import text_of

_CHARACTERS_OF_A_CELL = 8
_MEASURED_ROWS = 500
_PLAIN = frozenset({str, int, float, bool, type(None)})


def listed_rows(rows: Any) -> list[Any] | None:
    """The rows as a list if they are texts or dicts; None for the rows of a table."""
    if isinstance(rows, list | tuple):
        listed = list(rows)
    elif getattr(rows, "ndim", 0) == 1:
        listed = rows.tolist()
    elif hasattr(rows, "to_list") and not hasattr(rows, "columns"):  # a Series of polars
        listed = rows.to_list()
    else:
        return None
    return listed if isinstance(_first(listed), str | Mapping) else None


def are_texts(rows: Sequence[Any]) -> bool:
    """Whether the rows of `listed_rows` are texts."""
    return isinstance(_first(rows), str)


def _first(rows: Sequence[Any]) -> Any:
    return next((row for row in rows if not is_missing(row)), None)


def plain_texts(rows: Sequence[Any]) -> list[str | None]:
    """Raises TypeError for a row that is not a text. A missing text is None."""
    for at, row in enumerate(rows):
        if not isinstance(row, str) and not is_missing(row):
            raise TypeError(f"row {at} is a {type(row).__name__}, expected a text like the other rows")
    return [str(row) if isinstance(row, str) else None for row in rows]


def plain_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """The rows as JSON objects, with null for a missing value.

    Raises ValueError with row and key of a value that a vectorizer of dicts does not take, or that JSON does not have.
    """
    plain = []
    for at, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise TypeError(f"row {at} is a {type(row).__name__}, expected a dict like the other rows")
        for key in row:
            if not isinstance(key, str):
                raise ValueError(f"row {at} has the key {key!r}, expected a text")  # noqa: TRY004 - of a value
        plain.append({str(key): _plain_value(value, at, key) for key, value in row.items()})
    return plain


def dict_table(dicts: Sequence[Any], n_rows: int) -> dict[str, Any]:
    """The first dicts that a model was fitted on, with the keys of all of them, as the JSON of an example."""
    rows = plain_dicts(dicts)
    column = {"name": "row", "dtype": "dict", "objects": asdict(keys_of_rows(rows))}
    return {"layout": "object", "columns": [column], "rows": [[row] for row in rows[:n_rows]]}


def are_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def plain_words(words: Sequence[str]) -> list[str]:
    return [str(word) for word in words]


def moment_in_dicts(rows: Any) -> str | None:
    """The place of the first date, time, duration or decimal in rows that are dicts. It would be sent as a text, and is
    no text to a vectorizer of dicts."""
    for at, row in enumerate(listed_rows(rows) or ()):
        for key, value in row.items() if isinstance(row, Mapping) else ():
            if type(value) not in _PLAIN and text_of(value) is not None:
                return f"row {at}, key {key!r}: a {type(value).__name__}"
    return None


def _plain_value(value: Any, row: int, key: str) -> Any:
    if type(value) in _PLAIN and not isinstance(value, float):
        return value
    if are_words(value):
        return plain_words(value)
    if is_missing(value):
        return None
    plain = value.item() if hasattr(value, "item") and text_of(value) is None else value
    if isinstance(plain, str | int) or (isinstance(plain, float) and math.isfinite(plain)):
        return plain
    found = repr(plain) if isinstance(plain, float) else f"a {type(plain).__name__}"
    raise ValueError(
        f"row {row}, key {key!r}: {found} cannot be sent, expected a string, a finite number, a boolean, None, or a "
        "list of strings"
    )


def text_form(texts: Any) -> str:
    """The form in which a worker gives the texts to the estimator (`worker.models.rows.texts`)."""
    dtype = str(getattr(texts, "dtype", ""))
    if hasattr(texts, "iloc"):
        return f"Series[{dtype if dtype in ('str', 'string') else 'object'}]"
    if hasattr(texts, "ndim") and hasattr(texts, "strides"):  # an array of numpy, and no Series of polars
        return "array[str]" if texts.dtype.kind == "U" else "array[object]"
    return "list"


def text_name(texts: Any) -> str:
    """The name of the column that has the texts in a table."""
    name = getattr(texts, "name", None)
    return name if isinstance(name, str) and name else TEXT


def width_of(x: Any) -> int:
    """The number of columns, or for texts their length as so many cells of a table."""
    shape: tuple[int, ...] = getattr(x, "shape", ())
    if len(shape) == 2:
        return shape[1]
    some = x.iloc if hasattr(x, "iloc") else x
    head = listed_rows(some[:_MEASURED_ROWS]) if isinstance(x, list | tuple) or shape else None
    if head is not None:
        cells = sum(map(_cells_of, head))
        return max(1, cells // len(head))
    first = x[0] if isinstance(x, list | tuple) and x else ()
    return len(first) if isinstance(first, list | tuple | Mapping) else 1


def _cells_of(row: Any) -> int:
    if isinstance(row, str):
        return len(row) // _CHARACTERS_OF_A_CELL
    return len(row) if isinstance(row, Mapping) else 0


def require_even(rows: Sequence[Any]) -> None:
    """Raises ValueError for lists of different lengths, which are no table."""
    width = None
    for at, row in enumerate(rows):
        length = len(row) if hasattr(row, "__len__") else None
        width = length if at == 0 else width
        if length is not None and width is not None and length != width:
            raise ValueError(f"row {at} has {length} values, expected {width} like row 0")
