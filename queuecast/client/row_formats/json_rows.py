"""Turns DataFrames, arrays and lists into the JSON rows that the gateway takes.

Recognizes the objects of pandas, polars and numpy by their attributes, so that the client needs none of them.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from typing import Any

from queuecast.client.row_formats.chosen_rows import drawn_positions, is_frame, length, take
from queuecast.client.row_formats.polars_frames import described_columns, is_polars, plain_columns
from queuecast.client.row_formats.seen_values import facts_of, facts_of_values
from queuecast.client.row_formats.whole_rows import (
    are_texts,
    are_words,
    dict_table,
    listed_rows,
    plain_texts,
    plain_words,
    require_even,
    text_form,
    text_name,
    width_of,
)
from queuecast.domain.columns.dtypes import kind_named
from queuecast.domain.columns.missing_values import is_missing
from queuecast.tables.column_labels import have_text_names, labels_of, text_names
from queuecast.tables.plain_values import text_of

MAX_EXAMPLE_ROWS = 500  # the worker tries the estimator on them; the types of the columns come from the dtypes
TABLE_MEDIA_TYPE = "application/vnd.queuecast.table+json"

Scalar = str | int | float | bool | None
Value = Scalar | list[str]


def json_rows(rows: Any) -> list[dict[str, Value]] | list[list[Scalar]] | list[str | None]:
    """Rows to predict: a DataFrame, a 2-D array, or a list of dicts, lists or texts. NaN, NaT and NA become null.

    A DataFrame whose column names are not all text is sent as lists, because scikit-learn takes its columns by place.
    Raises ValueError with the row and column of a value that JSON cannot hold, and TypeError for other objects.
    """
    if isinstance(rows, Mapping | str | bytes) and not hasattr(rows, "toarray"):  # a sparse matrix may be a dict
        raise TypeError(f"rows is a {type(rows).__name__}, expected a list of rows; for one row write [row]")
    listed = listed_rows(rows)
    if listed is not None:
        rows = listed
        if are_texts(rows):
            return plain_texts(rows)
    if is_frame(rows) and have_text_names(rows.columns):
        names, columns = _frame_columns(rows)
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
    if is_frame(rows):
        _, columns = _frame_columns(rows)
        return [list(values) for values in zip(*columns, strict=True)]
    if hasattr(rows, "ndim"):
        return list(_listed_rows(rows))
    return [_one_row(row, index) for index, row in enumerate(rows)]  # type: ignore[return-value] # dicts or lists


def json_lines(array: Any) -> Iterator[bytes]:
    """The rows of a 2-D array as NDJSON, one at a time: as Python numbers, a large array would not fit in memory.

    array: also a list, a Series or an array of texts or dicts.
    """
    rows = _listed_rows(array) if listed_rows(array) is None else json_rows(array)
    for row in rows:
        yield json.dumps(row, separators=(",", ":")).encode() + b"\n"


def rows_for_width(n_rows: int, x: Any, least: int = 20) -> int:
    """`n_rows`, or fewer if x has more than 1,000 columns or long texts, so that a push does not grow with them."""
    width = width_of(x)
    return n_rows if width <= 1000 else max(least, n_rows * 1000 // width)


def example_positions(x: Any) -> list[int]:
    """Of the rows that a push sends: the same ones each time."""
    return drawn_positions(length(x), rows_for_width(MAX_EXAMPLE_ROWS, x))


def example_table(x: Any, *, is_sure: bool = True) -> dict[str, Any]:
    """Some of the rows that a model was fitted on, with their dtypes, as the JSON of TABLE_MEDIA_TYPE.

    They are drawn at random, in their order: a file is often sorted, and then its first rows are unlike the others.
    The first ones of a list.

    x: (n_rows, n_features), a DataFrame, a 2-D array, a sparse matrix or a list of lists; or (n_rows,) texts or dicts.
    is_sure: as in `polars_frames.described_columns`.
    Raises ValueError with column and dtype if a column cannot be sent (period, interval, complex).
    """
    listed = listed_rows(x)
    if listed is not None:
        n_rows = rows_for_width(MAX_EXAMPLE_ROWS, x)
        return _text_table(x, listed, n_rows) if are_texts(listed) else dict_table(listed, n_rows)
    if is_frame(x):
        positions = example_positions(x)
        if is_polars(x):
            described = described_columns(x, is_sure=is_sure)
        else:
            pairs = zip(text_names(x.columns), (column for _, column in x.items()), strict=True)
            described = [_column(name, column.dtype) | _facts(name, column) for name, column in pairs]
        _, columns = _frame_columns(take(x, positions), positions)
        rows: list[Any] = [list(values) for values in zip(*columns, strict=True)]
        table = {"layout": "frame", "columns": described, "rows": rows}
        labels = None if is_polars(x) else labels_of(x.columns)
        return table if labels is None else table | {"labels": asdict(labels)}
    if hasattr(x, "ndim"):
        positions = example_positions(x)
        array = _as_array(x, positions)
        whole = array if array.dtype.kind in "biuf" else _as_array(x)
        described = [
            _column(f"x{index}", array.dtype) | _facts(f"x{index}", whole[:, index]) for index in range(array.shape[1])
        ]
        rows = _array_rows(array, positions)
    else:
        require_even(x)
        rows = [_list_row(row, index) for index, row in enumerate(islice(x, rows_for_width(MAX_EXAMPLE_ROWS, x)))]
        dtype = _common_dtype([value for row in rows for value in row])
        described = [
            {"name": f"x{index}", "dtype": dtype} | (facts_of_values(values) if dtype == "object" else {})
            for index, values in enumerate(zip(*(x if dtype == "object" else rows), strict=True))
        ]
    sparse = {"sparse": type(x).__name__} if hasattr(x, "toarray") else {}
    return {"layout": "array", "columns": described, "rows": rows} | sparse


def _text_table(x: Any, texts: list[Any], n_rows: int) -> dict[str, Any]:
    column = {"name": text_name(x), "dtype": text_form(x)} | facts_of_values(texts)
    return {"layout": "text", "columns": [column], "rows": [[text] for text in plain_texts(texts)[:n_rows]]}


def _frame_columns(frame: Any, positions: Sequence[int] | None = None) -> tuple[list[str], list[list[Scalar]]]:
    """Columns whose names are not all text travel by their place, so two of them may have the same text.

    positions: of the rows in the caller's frame, for errors.
    """
    names = text_names(frame.columns) if have_text_names(frame.columns) else list(map(str, frame.columns))
    if is_polars(frame):
        return names, plain_columns(frame, _plain)
    numbers = positions or range(len(frame))
    series = zip(names, (column for _, column in frame.items()), strict=True)
    return names, [
        [_plain(value, name, row) for row, value in zip(numbers, column.tolist(), strict=True)]
        for name, column in series
    ]


def _as_array(x: Any, positions: list[int] | None = None) -> Any:
    """Some rows of a sparse matrix or an array as a 2-D array, by default all."""
    chosen = slice(None) if positions is None else positions
    if hasattr(x, "toarray"):
        return x.tocsr()[chosen].toarray()  # chosen while sparse: a dense text corpus would not fit in memory
    if x.ndim != 2:
        shown = "x".join(str(length) for length in x.shape)
        raise ValueError(
            f"rows have the shape {shown}, expected 2 dimensions (rows, columns); send one row as row.reshape(1, -1)"
        )
    return x[chosen]


def _listed_rows(x: Any) -> Iterator[list[Scalar]]:
    """The rows of an array, of a sparse matrix or of a DataFrame without names, as lists, one at a time."""
    if not hasattr(x, "toarray") or len(x.shape) != 2:
        return (_list_row(row, index) for index, row in enumerate(_as_array(x)))
    return _sparse_rows(x.tocsr(copy=True))


def _sparse_rows(table: Any) -> Iterator[list[Scalar]]:
    """A dense copy of the matrix may not fit in memory."""
    table.sum_duplicates()
    for index, (start, end) in enumerate(zip(table.indptr, table.indptr[1:], strict=False)):
        row: list[Scalar] = [0] * table.shape[1]
        stored = zip(table.indices[start:end].tolist(), table.data[start:end].tolist(), strict=True)
        for column, value in stored:
            row[column] = _plain(value, f"x{column}", index)
        yield row


def _array_rows(array: Any, positions: list[int]) -> list[list[Scalar]]:
    return [
        [_plain(value, f"x{column}", row) for column, value in enumerate(values)]
        # numpy turns a date of nanoseconds into an integer if it makes a list of it.
        for row, values in zip(positions, array if array.dtype.kind in "mM" else array.tolist(), strict=True)
    ]


def _one_row(row: Any, index: int) -> dict[str, Value] | list[Scalar]:
    if hasattr(row, "to_dict"):  # a pandas Series: one row of a DataFrame
        row = row.to_dict()
    if isinstance(row, Mapping):
        return {
            str(name): plain_words(value) if are_words(value) else _plain(value, str(name), index)
            for name, value in row.items()
        }
    return _list_row(row, index)


def _list_row(row: Any, index: int) -> list[Scalar]:
    is_array = hasattr(row, "tolist")
    values = list(row) if is_array and row.dtype.kind in "mM" else row.tolist() if is_array else row
    if not isinstance(values, list | tuple):
        raise TypeError(f"row {index} is a {type(row).__name__}, expected a dict or a list of values")
    return [_plain(value, f"x{column}", index) for column, value in enumerate(values)]


def _plain(value: Any, column: str, row: int) -> Scalar:
    if hasattr(value, "item") and type(value).__name__ not in ("datetime64", "timedelta64"):  # a numpy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return None
        raise ValueError(f"row {row}, column {column!r}: {value} cannot be sent; JSON has finite numbers only")
    if isinstance(value, str | int | float):
        return value
    if is_missing(value):
        return None
    text = text_of(value)
    if text is None:
        raise ValueError(
            f"row {row}, column {column!r}: a {type(value).__name__} cannot be sent, "
            "expected a number, a string, a boolean, a date, a time, a duration, a decimal or None"
        )
    return text


def _column(name: str, dtype: Any) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "dtype": str(dtype)}
    if str(dtype) == "category":
        categories = dtype.categories
        inner = str(categories.dtype)
        values = categories.tolist()
        if inner == "object":
            inner = _facts(name, categories).get("inner", inner)
        if inner != "object":
            _require_known(name, inner)
        described["categories"] = [_plain(value, name, index) for index, value in enumerate(values)]
        described |= {"inner": inner} | ({"is_ordered": True} if dtype.ordered else {})
    elif str(dtype) != "object":
        _require_known(name, str(dtype))
    return described


def _facts(name: str, column: Any) -> dict[str, Any]:
    try:
        return facts_of(column)
    except ValueError as error:
        raise ValueError(f"column {name!r} {error}") from None


def _require_known(name: str, dtype: str) -> None:
    if kind_named(dtype) is None:
        expected = "fit on numbers, strings, booleans, dates, times, durations or decimals"
        if dtype.startswith("datetime64["):
            expected = "other machines do not know its time zone: use .dt.tz_convert('UTC')"
        raise ValueError(f"column {name!r} has the dtype {dtype}, which cannot be sent; {expected}")


def _common_dtype(values: list[Scalar]) -> str:
    """The dtype that numpy gives to a list of lists."""
    kinds = {type(value) for value in values}
    if kinds <= {bool}:
        return "bool"
    if kinds <= {bool, int}:
        return "int64"
    return "float64" if kinds <= {bool, int, float, type(None)} else "object"
