"""Which JSON values fit a column of a kind and dtype: the rule, in words, and as JSON Schema.

kind: a `ColumnType`. dtype: the name of a dtype or of a class of Python objects (`queuecast.domain.columns.dtypes`).
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from queuecast.domain.columns.dtypes import (
    INT64_MIN,
    MOMENT_KINDS,
    Moments,
    decimal_digits,
    fits_decimal,
    float_bound,
    moments_of,
    whole_bounds,
)
from queuecast.domain.columns.moments import (
    DATE_PATTERN,
    DECIMAL_PATTERN,
    EXACT_DIGITS,
    TIME_PATTERN,
    UNITS_NS,
    ZONE_PATTERN,
    decimal_of,
)

_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
_MOMENT_WORDS = {
    "datetime": 'a date and time without an offset, such as "2026-01-31T12:30:00"',
    "date": 'a date, such as "2026-01-31"',
    "time": 'a time of day without an offset, such as "12:30:00"',
    "duration": 'a duration, such as "P1DT2H30M0S"',
}


@dataclass(frozen=True, slots=True)
class TextValues:
    """The values that travel as text in JSON and CSV: dates, times, durations and decimals.

    moments: None for decimals.
    """

    dtype: str
    moments: Moments | None

    def key(self, value: Any) -> Hashable:
        """The same key for values that mean the same; None for one that does not fit."""
        if self.moments is not None:
            return self.moments.ticks(value) if isinstance(value, str) else None
        is_number = isinstance(value, str | int | float) and not isinstance(value, bool)
        return decimal_of(value) if is_number and fits_decimal(self.dtype, value) else None


@lru_cache(maxsize=256)
def text_values(kind: str, dtype: str) -> TextValues | None:
    """None for a kind whose values JSON has."""
    if kind in MOMENT_KINDS:
        return TextValues(dtype, moments_of(kind, dtype))
    return TextValues(dtype, None) if kind == "decimal" else None


def fits(kind: str, dtype: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        low, high = whole_bounds(dtype)
        return isinstance(value, int) and low <= value <= high
    if kind == "number":
        bound = float_bound(dtype)
        return isinstance(value, int | float) and _is_finite(value) and (bound is None or -bound < value < bound)
    texts = text_values(kind, dtype)
    return texts is not None and texts.key(value) is not None


def is_among(kind: str, dtype: str, value: Any, choices: tuple[Any, ...]) -> bool:
    """Whether a value that fits means one of the choices: a moment can be written in several ways."""
    texts = text_values(kind, dtype)
    if texts is None or value in choices:
        return value in choices
    return texts.key(value) in map(texts.key, choices)


def expected(kind: str, dtype: str, value: Any = None) -> str:
    """The values that fit, in words. value: one that does not fit; a number is compared with the bounds."""
    if kind in MOMENT_KINDS:
        return _expected_moment(moments_of(kind, dtype))
    if kind == "decimal":
        return _expected_decimal(dtype)
    if kind == "integer":
        low, high = whole_bounds(dtype)
        return "a whole number of at most 64 bits" if low == INT64_MIN else f"a whole number from {low} to {high}"
    if kind == "number":
        bound = float_bound(dtype)
        is_beyond = bound is not None and isinstance(value, int | float) and not isinstance(value, bool)
        return f"a number between {-bound:.8g} and {bound:.8g}" if bound and is_beyond else "a finite number"
    return "a string" if kind == "string" else "one of true, false, 1, 0"


def _expected_decimal(dtype: str) -> str:
    digits = decimal_digits(dtype)
    bound = "" if digits is None else f" of at most {digits[0]} digits before the point and {digits[1]} after it"
    return f'a decimal{bound} as text, such as "12.50", or as a number of at most {EXACT_DIGITS} digits'


def schema(kind: str, dtype: str) -> dict[str, Any]:
    """JSON Schema. `type` is a list."""
    if kind in MOMENT_KINDS:
        return {"type": ["string"]} | _moment_schema(moments_of(kind, dtype))
    if kind == "decimal":
        return {"type": ["string", "number"], "format": "decimal", "pattern": f"^{DECIMAL_PATTERN}$"}
    if kind == "boolean":
        return {"type": ["boolean", "integer"], "minimum": 0, "maximum": 1}
    bounds: dict[str, Any] = {}
    if kind == "integer":
        bounds = dict(zip(("minimum", "maximum"), whole_bounds(dtype), strict=True))
    bound = float_bound(dtype) if kind == "number" else None
    if bound is not None:
        bounds = {"exclusiveMinimum": -bound, "exclusiveMaximum": bound}
    return {"type": [str(kind)]} | bounds


def _expected_moment(moments: Moments) -> str:
    words = _MOMENT_WORDS[moments.kind]
    if moments.is_aware:
        words = 'a date and time with an offset, such as "2026-01-31T12:30:00Z"'
    unit = next((name for unit, name in _UNIT_NAMES.items() if UNITS_NS[unit] == moments.unit_ns), None)
    if unit is not None:
        words += f", in whole {unit}"
    if moments.kind == "datetime" and moments.unit_ns == 1:
        words += f", from {moments.text(moments.low)[:10]} to {moments.text(moments.high)[:10]}"
    return words


def _moment_schema(moments: Moments) -> dict[str, Any]:
    """`date-time-local` and `time-local` are formats of the OpenAPI registry: JSON Schema wants an offset in a time."""
    clock = f"[T ]{TIME_PATTERN}"
    if moments.is_aware:
        return {"format": "date-time", "pattern": f"^{DATE_PATTERN}{clock}{ZONE_PATTERN}$"}
    return {
        "datetime": {"format": "date-time-local", "pattern": f"^{DATE_PATTERN}({clock})?$"},
        "date": {"format": "date", "pattern": rf"^{DATE_PATTERN}([T ]00:00(:00(\.0+)?)?)?$"},
        "time": {"format": "time-local", "pattern": f"^{TIME_PATTERN}$"},
        "duration": {"format": "duration"},
    }[moments.kind]


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False
