"""Turns polars frames into the columns that the gateway takes.

Recognizes the objects of polars by their attributes, so that the client does not need the library. A worker has no
polars: it builds a pandas frame with the dtypes that `described_columns` names, and the push compares its answers with
those of the polars frame.
"""

from collections.abc import Callable, Iterator
from io import BufferedRandom
from typing import Any

from queuecast.client.row_formats.seen_values import facts_of_values
from queuecast.domain.columns.dtypes import moments_of
from queuecast.domain.columns.moments import time_text

PlainValue = Callable[[Any, str, int], Any]
"""Takes a value, the name of its column and its row, and returns the JSON value, or raises ValueError."""

_SMALL_WHOLE = ("Int8", "Int16", "UInt8", "UInt16")
_WHOLE = (*_SMALL_WHOLE, "Int32", "Int64", "UInt32", "UInt64")
_TEXTS = {"String": "", "Null": "", "Time": "time", "Decimal": "Decimal"}
_WORDS = ("Categorical", "Enum")
_MOMENTS = {"Date": "date", "Datetime": "datetime", "Duration": "duration", "Time": "time"}  # polars' -> ours


def is_polars(x: Any) -> bool:
    """Whether x is a DataFrame of polars. Raises TypeError for a LazyFrame, which has no rows yet."""
    if hasattr(x, "collect_schema") and hasattr(x, "collect"):
        raise TypeError(f"found a {type(x).__name__}, which has no rows yet; call .collect() on it first")
    return hasattr(x, "iter_columns") and hasattr(x, "iter_rows")


def has_categories(column: Any) -> bool:
    return _kind(column) in _WORDS


def plain_columns(frame: Any, plain: PlainValue) -> list[list[Any]]:
    """The JSON values of each column, in the order of the columns."""
    return [list(_plain_values(column, plain)) for column in frame.iter_columns()]


def described_columns(frame: Any, *, is_sure: bool = True) -> list[dict[str, Any]]:
    """The columns as `worker.imports.example_rows.TableColumn` reads them.

    is_sure: whether the estimator was fitted on the polars frame, so that it got None for a missing word. Otherwise it
    may have been fitted on `frame.to_pandas()`, where that is NaN.
    Raises ValueError with the name of a column that cannot be sent.
    """
    return [_described(column, is_sure=is_sure) for column in frame.iter_columns()]


def write_parquet(frame: Any, content: BufferedRandom) -> None:
    """Raises ValueError for a frame with a column that Parquet cannot hold."""
    try:
        frame.write_parquet(content)
    except Exception as error:  # polars has a hierarchy of its own
        raise ValueError(f"the DataFrame cannot be written as Parquet: {error}") from error


def _described(column: Any, *, is_sure: bool) -> dict[str, Any]:
    name, kind = column.name, _kind(column)
    described: dict[str, Any] = {"name": name}
    has_gaps = column.null_count() > 0
    if kind in _WHOLE:
        # As polars' own to_numpy.
        with_gaps = "float32" if kind in _SMALL_WHOLE else "float64"
        return described | {"dtype": with_gaps if has_gaps else kind.lower()}
    if kind in ("Float32", "Float64"):
        return described | {"dtype": kind.lower()}
    if kind == "Boolean":
        return described | ({"dtype": "object", "missing": ["None"]} if has_gaps else {"dtype": "bool"})
    if kind in _TEXTS:
        return described | {"dtype": "object"} | _text_facts(column, kind, has_gaps=has_gaps, is_sure=is_sure)
    if kind in _WORDS:
        return described | {"dtype": "category", "inner": "str", "categories": _categories(column, kind)}
    if kind in ("Date", "Datetime", "Duration"):
        return described | {"dtype": _dtype_of_moments(column, kind)}
    raise ValueError(
        f"column {name!r} has the dtype {column.dtype}, which cannot be sent; fit on numbers, strings, booleans, "
        "dates, times, durations or decimals"
    )


def _text_facts(column: Any, kind: str, *, has_gaps: bool, is_sure: bool) -> dict[str, Any]:
    if kind in ("Time", "Decimal"):
        return {"missing": ["None"], "inner": _TEXTS[kind]}
    words = facts_of_values(column.unique().to_list())
    if has_gaps or is_sure:
        return words | {"missing": ["None"]}
    return words | {"possible": ["None", "nan"]}


def _categories(column: Any, kind: str) -> list[str]:
    if kind == "Enum":
        return [str(each) for each in column.dtype.categories]
    return sorted(map(str, column.drop_nulls().unique().to_list()))


def _kind(column: Any) -> str:
    return str(column.dtype.base_type().__name__)


def _dtype_of_moments(column: Any, kind: str) -> str:
    """As `to_pandas` gives it."""
    if kind == "Date":
        return "datetime64[ms]"
    if kind == "Duration":
        return f"timedelta64[{column.dtype.time_unit}]"
    zone = column.dtype.time_zone
    return f"datetime64[{column.dtype.time_unit}{f', {zone}' if zone else ''}]"


def _plain_values(column: Any, plain: PlainValue) -> Iterator[Any]:
    kind = _kind(column)
    if kind not in _MOMENTS:
        for row, value in enumerate(column.to_list()):
            yield plain(value, column.name, row)
        return
    # The numbers behind the moments: Python's own objects have no nanoseconds.
    ticks = column.to_physical().to_list()
    text = time_text if kind == "Time" else moments_of(_MOMENTS[kind], _dtype_of_moments(column, kind)).text
    yield from (None if each is None else text(each) for each in ticks)
