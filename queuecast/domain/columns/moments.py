"""Reads dates, times, durations and decimals from text, and writes them: one rule for JSON, CSV and categories.

A moment becomes a whole number of nanoseconds, because Python's own types end at microseconds and would lose the rest.
"""

import re
from datetime import date
from decimal import Decimal

UNITS_NS = {
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
DAY_NS = UNITS_NS["D"]
MOST_DIGITS = 76  # of Parquet's widest decimal
EXACT_DIGITS = 15  # a float has read a number of at most so many digits without a change

_EPOCH = date(1970, 1, 1).toordinal()
_CLOCK = r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
DATE_PATTERN = r"\d{4}-\d\d-\d\d"
TIME_PATTERN = r"\d\d:\d\d(:\d\d(\.\d{1,9})?)?"
ZONE_PATTERN = r"(Z|[+-]\d\d(:?\d\d(:?\d\d)?)?)"
DECIMAL_PATTERN = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?"

_DATETIME = re.compile(rf"(\d{{4}})-(\d\d)-(\d\d)(?:[T ]{_CLOCK}(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_ISO_DURATION = re.compile(
    r"([+-])?P(?=.)(?:([+-]?\d{1,12})W)?(?:([+-]?\d{1,12})D)?"
    r"(?:T(?=.)(?:([+-]?\d{1,15})H)?(?:([+-]?\d{1,15})M)?(?:([+-]?)(\d{1,15})(?:\.(\d{1,9}))?S)?)?",
    re.ASCII,
)
# As pandas and Python write a duration in a CSV file: "-1 days +23:59:59.5", "1 day, 0:00:00", "3 days".
_CLOCK_DURATION = re.compile(
    r"(?=.)(?:([+-]?\d{1,12}) days?(?:,? (?=[\d+-])|$))?(?:([+-])?(\d{1,12}):(\d\d):(\d\d)(?:\.(\d{1,9}))?)?", re.ASCII
)
_DECIMAL = re.compile(DECIMAL_PATTERN, re.ASCII)


def datetime_ns(text: str) -> tuple[int, bool] | None:
    """The nanoseconds since 1970, in UTC if the text has an offset, and whether it has one. None for another text.

    A date alone means its midnight.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    clock = _clock_ns(hour or "0", minute or "0", second, fraction)
    offset = _offset_ns(zone) if zone else 0
    if clock is None or offset is None:
        return None
    return days * DAY_NS + clock - offset, zone is not None


def time_ns(text: str) -> int | None:
    """The nanoseconds since midnight of a time of day without an offset."""
    found = _TIME.fullmatch(text)
    return None if found is None else _clock_ns(*found.groups())


def duration_ns(text: str) -> int | None:
    """A duration in ISO 8601 without years and months, which have no fixed length, or as pandas writes it to CSV."""
    found = _ISO_DURATION.fullmatch(text)
    if found is not None:
        sign, weeks, days, hours, minutes, second_sign, seconds, fraction = found.groups()
        whole = ((int(weeks or 0) * 7 + int(days or 0)) * 24 + int(hours or 0)) * 60 + int(minutes or 0)
        part = int(seconds or 0) * 10**9 + _fraction_ns(fraction)
        total = whole * UNITS_NS["m"] + (-part if second_sign == "-" else part)
        return -total if sign == "-" else total
    found = _CLOCK_DURATION.fullmatch(text)
    if found is None:
        return None
    days, sign, hours, minutes, seconds, fraction = found.groups()
    if int(minutes or 0) > 59 or int(seconds or 0) > 59:
        return None
    part = ((int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)) * 10**9 + _fraction_ns(fraction)
    return int(days or 0) * DAY_NS + (-part if sign == "-" else part)


def datetime_text(ns: int, *, is_aware: bool) -> str:
    """With as few digits as possible, and in UTC if it has a zone."""
    days, rest = divmod(ns, DAY_NS)
    return f"{date_text(days)}T{time_text(rest)}{'Z' if is_aware else ''}"


def date_text(days: int) -> str:
    return date.fromordinal(days + _EPOCH).isoformat()


def time_text(ns: int) -> str:
    seconds, fraction = divmod(ns, 10**9)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{_fraction_text(fraction)}"


def duration_text(ns: int) -> str:
    """As `Timedelta.isoformat` of pandas writes it: the days may be negative, the rest of a day is not."""
    days, rest = divmod(ns, DAY_NS)
    seconds, fraction = divmod(rest, 10**9)
    minutes, seconds = divmod(seconds, 60)
    return f"P{days}DT{minutes // 60}H{minutes % 60}M{seconds}{_fraction_text(fraction)}S"


def decimal_of(value: str | float) -> Decimal | None:
    """The exact decimal of a text or a number; None for another text, and for one of more than MOST_DIGITS digits.

    A float of more than EXACT_DIGITS digits is refused: the decimal that it stands for may have had more.
    """
    if _DECIMAL.fullmatch(value) is None if isinstance(value, str) else not abs(value) < 10**MOST_DIGITS:  # also NaN
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        return None
    is_bounded = exponent >= -MOST_DIGITS and len(digits) + max(exponent, 0) <= MOST_DIGITS
    is_exact = not isinstance(value, float) or len("".join(map(str, digits)).rstrip("0")) <= EXACT_DIGITS
    return number if is_bounded and is_exact else None


def decimal_text(value: Decimal) -> str:
    """The same text for equal decimals."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _clock_ns(hour: str, minute: str, second: str | None, fraction: str | None) -> int | None:
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + _fraction_ns(fraction)


def _offset_ns(zone: str) -> int | None:
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4]), int(digits[4:])  # seconds before there was a standard
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 * (-1 if zone[0] == "-" else 1)


def _fraction_ns(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def _fraction_text(ns: int) -> str:
    return f".{ns:09}".rstrip("0") if ns else ""
