"""The dtypes of generated columns, in one table: the values of each, and whether a push serves it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tests.differential.cells import draw_words

Random = np.random.Generator
Draw = Callable[[Random, int], list[Any]]


class Role(Enum):
    """How estimators take a column."""

    NUMBER = "number"
    WORD = "word"
    FLAG = "flag"
    MOMENT = "moment"
    OTHER = "other"


@dataclass(frozen=True)
class Kind:
    """missing: the missing values that a column of this kind may hold.

    refusal: words in the reason of the refusal, for a kind that is refused at the push; None for one that is served.
    """

    name: str
    role: Role
    dtype: Any
    draw: Draw
    missing: tuple[Any, ...] = ()
    refusal: str | None = None

    @property
    def is_served(self) -> bool:
        return self.refusal is None

    def series(self, values: list[Any]) -> Any:
        return pd.Series(values, dtype=self.dtype)


def _few_or_many(random: Random, n: int, pool: list[Any]) -> list[Any]:
    """Values from the pool, or from five of them, so that some columns have values that occur often."""
    if random.random() < 0.5:
        pool = [pool[at] for at in random.choice(len(pool), min(5, len(pool)), replace=False)]
    return [pool[at] for at in random.integers(0, len(pool), n)]


def _whole(low: int, high: int) -> Draw:
    def draw(random: Random, n: int) -> list[Any]:
        near = [max(low, -20) + at for at in range(60) if max(low, -20) + at <= high]
        ends = [low, low + 1, high - 1, high] if random.random() < 0.2 else []
        return _few_or_many(random, n, [*near, *ends])

    return draw


def _fractions(largest: float) -> Draw:
    def draw(random: Random, n: int) -> list[Any]:
        style = random.integers(0, 10)
        numbers = random.normal(0, min(largest, 1e3) / 100, 40)
        if style < 6:
            numbers = np.round(numbers, 2)
        elif style == 9:
            numbers = np.array([0.0, -0.0, 1.5, largest, -largest, 1 / 3, 1e-5, 123456.0 % largest])
        return _few_or_many(random, n, numbers.tolist())

    return draw


def _flags(random: Random, n: int) -> list[Any]:
    return (random.random(n) < 0.4).tolist()


def _decimals(random: Random, n: int) -> list[Any]:
    return _few_or_many(random, n, [Decimal(at) / 4 for at in range(-20, 20)])


def _days(random: Random, n: int) -> list[Any]:
    return _few_or_many(random, n, list(pd.date_range("2019-12-25", periods=40, freq="D")))


def _moments(zone: str | None) -> Draw:
    def draw(random: Random, n: int) -> list[Any]:
        # Across the end of daylight saving time.
        moments = pd.date_range("2024-10-20T06:30:00.25", periods=40, freq="11h17min", tz="UTC").tz_convert(zone)
        return _few_or_many(random, n, list(moments))

    return draw


def _durations(random: Random, n: int) -> list[Any]:
    return _few_or_many(random, n, list(pd.to_timedelta([at * 1777 for at in range(-10, 40)], unit="s")))


def _dates(random: Random, n: int) -> list[Any]:
    return _few_or_many(random, n, [date(2024, 2, day) for day in range(1, 30)])


def _times(random: Random, n: int) -> list[Any]:
    return _few_or_many(random, n, [time(hour, 5 * hour % 60) for hour in range(24)])


def _of(*values: Any) -> Draw:
    return lambda random, n: [values[at] for at in random.integers(0, len(values), n)]


def _arrow(kind: Any) -> Any:
    return pd.ArrowDtype(kind)


_NUMBER, _WORD, _FLAG, _MOMENT, _OTHER = Role
_MIXED = "of one type"
_DTYPE = "cannot be sent"
_BYTES = {8: 2**7, 16: 2**15, 32: 2**31, 64: 2**63}

KINDS: tuple[Kind, ...] = (
    *(Kind(f"int{bits}", _NUMBER, f"int{bits}", _whole(-end, end - 1)) for bits, end in _BYTES.items()),
    *(Kind(f"uint{bits}", _NUMBER, f"uint{bits}", _whole(0, 2 * end - 1)) for bits, end in list(_BYTES.items())[:3]),
    Kind("uint64", _NUMBER, "uint64", _whole(0, 2**63 - 1)),
    Kind("float16", _NUMBER, "float16", _fractions(6e4), (np.nan,)),
    Kind("float32", _NUMBER, "float32", _fractions(3e38), (np.nan,)),
    Kind("float64", _NUMBER, "float64", _fractions(1e300), (np.nan,)),
    Kind("Int64", _NUMBER, "Int64", _whole(-(2**63), 2**63 - 1), (pd.NA,)),
    Kind("UInt8", _NUMBER, "UInt8", _whole(0, 255), (pd.NA,)),
    Kind("Float64", _NUMBER, "Float64", _fractions(1e300), (pd.NA,)),
    Kind("Float32", _NUMBER, "Float32", _fractions(3e38), (pd.NA,)),
    Kind("bool", _FLAG, "bool", _flags),
    Kind("boolean", _FLAG, "boolean", _flags, (pd.NA,)),
    Kind("object: booleans", _FLAG, object, _flags, (None,)),
    Kind("str", _WORD, "str", draw_words, (np.nan,)),
    Kind("string", _WORD, "string", draw_words, (pd.NA,)),
    Kind("object: words", _WORD, object, draw_words),
    Kind("object: words, None", _WORD, object, draw_words, (None,)),
    Kind("object: words, NaN", _WORD, object, draw_words, (np.nan,)),
    Kind("object: words, NA", _WORD, object, draw_words, (pd.NA,)),
    Kind("object: words, None and NaN", _WORD, object, draw_words, (None, np.nan), refusal="holds nan and None"),
    Kind("category: words", _WORD, "category", draw_words, (np.nan,)),
    Kind("category: whole numbers", _WORD, pd.CategoricalDtype(list(range(10))), _whole(0, 9), (np.nan,)),
    Kind("category: booleans", _WORD, "category", _flags, (np.nan,)),
    Kind("category: fractions", _WORD, "category", _of(0.5, 1.0, 2.0), (np.nan,)),
    Kind("category: days", _WORD, "category", _days, (pd.NaT,)),
    Kind("object: whole numbers", _NUMBER, object, _whole(-50, 50), (None,)),
    Kind("object: fractions", _NUMBER, object, _fractions(1e3), (None,)),
    Kind("object: words and numbers", _OTHER, object, _of("a", "b", 1, 2.5), (None,), refusal=_MIXED),
    Kind("object: decimals", _NUMBER, object, _decimals, (None,)),
    Kind("datetime64[ns]", _MOMENT, "datetime64[ns]", _moments(None), (pd.NaT,)),
    Kind("datetime64[s]", _MOMENT, "datetime64[s]", _days, (pd.NaT,)),
    Kind("datetime64[us, UTC]", _MOMENT, "datetime64[us, UTC]", _moments("UTC"), (pd.NaT,)),
    Kind(
        "datetime64[ns, Europe/Berlin]",
        _MOMENT,
        "datetime64[ns, Europe/Berlin]",
        _moments("Europe/Berlin"),
        (pd.NaT,),
    ),
    Kind("timedelta64[ns]", _MOMENT, "timedelta64[ns]", _durations, (pd.NaT,)),
    Kind("object: dates", _MOMENT, object, _dates, (None,)),
    Kind("object: times", _MOMENT, object, _times, (None,)),
    Kind("period[M]", _OTHER, "period[M]", _of(pd.Period("2024-01"), pd.Period("2024-02")), refusal=_DTYPE),
    Kind("complex128", _OTHER, "complex128", _of(1j, 2 + 1j), refusal=_DTYPE),
    Kind("int64[pyarrow]", _NUMBER, _arrow(pa.int64()), _whole(-(2**63), 2**63 - 1), (pd.NA,)),
    Kind("uint8[pyarrow]", _NUMBER, _arrow(pa.uint8()), _whole(0, 255), (pd.NA,)),
    Kind("double[pyarrow]", _NUMBER, _arrow(pa.float64()), _fractions(1e300), (pd.NA,)),
    Kind("bool[pyarrow]", _FLAG, _arrow(pa.bool_()), _flags, (pd.NA,)),
    Kind("string[pyarrow]", _WORD, _arrow(pa.string()), draw_words, (pd.NA,)),
    Kind("decimal128[pyarrow]", _NUMBER, _arrow(pa.decimal128(9, 2)), _decimals, (pd.NA,)),
    Kind("date32[pyarrow]", _MOMENT, _arrow(pa.date32()), _dates, (pd.NA,)),
    Kind("timestamp[us][pyarrow]", _MOMENT, _arrow(pa.timestamp("us")), _moments(None), (pd.NA,)),
    Kind("duration[us][pyarrow]", _MOMENT, _arrow(pa.duration("us")), _durations, (pd.NA,)),
    Kind("Sparse[float64]", _NUMBER, pd.SparseDtype("float64", 0.0), _of(0.0, 0.0, 1.0, 2.5)),
    Kind("Sparse[int64]", _NUMBER, pd.SparseDtype("int64", 0), _of(0, 0, 1, 7)),
)
BY_NAME = {kind.name: kind for kind in KINDS}
SERVED = tuple(kind for kind in KINDS if kind.is_served)
