"""Reads the names of the dtypes of pandas, numpy and Arrow: which kind of values a column of each holds, and which of
them fit.

A column of Python objects has the name of their class instead, such as `date` or `Timestamp, Europe/Berlin`.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from queuecast.domain.columns.moments import (
    DAY_NS,
    UNITS_NS,
    date_text,
    datetime_ns,
    datetime_text,
    decimal_of,
    decimal_text,
    duration_ns,
    duration_text,
    time_ns,
    time_text,
)

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MOMENT_KINDS = frozenset({"datetime", "date", "time", "duration"})
OBJECT_KINDS = {
    "date": "date",
    "time": "time",
    "datetime": "datetime",
    "Timestamp": "datetime",
    "timedelta": "duration",
    "Timedelta": "duration",
    "Decimal": "decimal",
}
"""Class -> kind, of the Python objects that travel as text."""

_UNIT = "(D|h|m|s|ms|us|ns)"
# A name of the time zone database or an offset. Others name a file, or depend on the machine.
_ZONE = r"(?!dateutil)[A-Za-z+-][\w+:-]*(/[\w+-]+){0,3}"
_BITS = "(8|16|32|64)"
_KINDS = {
    "boolean": r"bool|boolean|bool\[pyarrow\]|Sparse\[bool, (True|False)\]",
    "integer": rf"u?int{_BITS}|U?Int{_BITS}|u?int{_BITS}\[pyarrow\]|Sparse\[u?int{_BITS}, -?\d+\]",
    "number": r"float(16|32|64)|Float(32|64)|(halffloat|float|double)\[pyarrow\]|Sparse\[float(16|32|64), [\w.+-]+\]",
    "string": r"str|string|(large_)?string\[pyarrow\]|[<>=]U\d+",
    "datetime": (
        rf"datetime64\[{_UNIT}(, {_ZONE})?\]|timestamp\[{_UNIT}(, tz={_ZONE})?\]\[pyarrow\]"
        rf"|(datetime|Timestamp)(, {_ZONE})?"
    ),
    "date": r"date|(date32\[day\]|date64\[ms\])\[pyarrow\]",
    "time": rf"time|time(32|64)\[{_UNIT}\]\[pyarrow\]",
    "duration": rf"[tT]imedelta|timedelta64\[{_UNIT}\]|duration\[{_UNIT}\]\[pyarrow\]",
    "decimal": r"Decimal|decimal(128|256)\(\d+, \d+\)\[pyarrow\]",
}
_UNIT_OF_KIND = {"datetime": "ns", "date": "D", "time": "us", "duration": "ns"}
_UNIT_OF_CLASS = {"datetime": "us", "timedelta": "us"}
_LONGEST_DURATION_NS = 999_999_999 * DAY_NS  # of Python's timedelta
_FIRST_DAY, _LAST_DAY = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))


@dataclass(frozen=True, slots=True)
class Moments:
    """A column of dates, times or durations as whole numbers of `unit_ns` nanoseconds, from `low` to `high`."""

    kind: str
    unit_ns: int
    low: int
    high: int
    is_aware: bool

    def ticks(self, text: str) -> int | None:
        """The number that a text stands for; None if it is no such text, or does not fit exactly."""
        nanoseconds = self._nanoseconds(text)
        if nanoseconds is None:
            return None
        ticks, rest = divmod(nanoseconds, self.unit_ns)
        return ticks if rest == 0 and self.low <= ticks <= self.high else None

    def text(self, ticks: int) -> str:
        nanoseconds = ticks * self.unit_ns
        if self.kind == "date":
            return date_text(nanoseconds // DAY_NS)
        if self.kind == "time":
            return time_text(nanoseconds)
        if self.kind == "duration":
            return duration_text(nanoseconds)
        return datetime_text(nanoseconds, is_aware=self.is_aware)

    def _nanoseconds(self, text: str) -> int | None:
        if self.kind == "time":
            return time_ns(text)
        if self.kind == "duration":
            return duration_ns(text)
        found = datetime_ns(text)
        return found[0] if found is not None and found[1] is self.is_aware else None


def kind_named(dtype: str) -> str | None:
    """The kind of the values of a dtype, or of a class of Python objects; None if they cannot be sent."""
    return next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, dtype)), None)


@lru_cache(maxsize=256)
def moments_of(kind: str, dtype: str) -> Moments:
    """kind: one of MOMENT_KINDS. dtype: empty for the widest one."""
    found = re.search(rf"\[{_UNIT}[,\]]", dtype)
    unit = _UNIT_OF_KIND[kind]
    if found is not None and kind != "date":
        unit = found[1]
    unit = _UNIT_OF_CLASS.get(dtype.partition(",")[0], unit)
    unit_ns = UNITS_NS[unit]
    low, high = INT64_MIN + 1, INT64_MAX  # pandas has the lowest number for a missing value
    if kind == "time":
        low, high = 0, DAY_NS // unit_ns - 1
    elif kind in ("date", "datetime"):  # four digits for a year
        first, last = _FIRST_DAY * DAY_NS // unit_ns, ((_LAST_DAY + 1) * DAY_NS - 1) // unit_ns
        low, high = max(low, first), min(high, last)
    elif kind == "duration":
        most = _LONGEST_DURATION_NS // unit_ns
        low, high = max(low, -most), min(high, most)
    return Moments(kind, unit_ns, low, high, kind == "datetime" and ", " in dtype)


@lru_cache(maxsize=256)
def whole_bounds(dtype: str) -> tuple[int, int]:
    """The least and the greatest whole number of a dtype that is sent; 64 bits if it has no bounds of its own."""
    found = re.search(r"(u?)int(8|16|32|64)", dtype.lower())
    if found is None:
        return INT64_MIN, INT64_MAX
    bits = int(found[2])
    return (0, min(2**bits - 1, INT64_MAX)) if found[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@lru_cache(maxsize=256)
def float_bound(dtype: str) -> float | None:
    """The first number beyond a dtype of less than double precision, which would become infinite."""
    name = dtype.lower()
    if "float16" in name or name.startswith("halffloat"):
        return 65_520.0
    return 2.0**128 - 2.0**103 if "float32" in name or name.startswith("float[") else None


@lru_cache(maxsize=256)
def decimal_digits(dtype: str) -> tuple[int, int] | None:
    """The digits before and after the point that an Arrow dtype holds; None if there is no such bound."""
    found = re.match(r"decimal\d+\((\d+), (\d+)\)", dtype)
    return None if found is None else (int(found[1]) - int(found[2]), int(found[2]))


def fits_decimal(dtype: str, value: str | float) -> bool:
    number = decimal_of(value)
    digits = decimal_digits(dtype)
    if number is None or digits is None:
        return number is not None
    whole, _, fraction = decimal_text(number).lstrip("+-").partition(".")  # arithmetic would round to 28 digits
    return len(whole.lstrip("0")) <= digits[0] and len(fraction) <= digits[1]
