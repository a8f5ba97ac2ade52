"""Python's, numpy's and pandas' dates, times, durations and decimals as the text that travels.

Recognizes the objects of libraries by their classes' names, so that none of them is needed.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from queuecast.domain.columns.dtypes import OBJECT_KINDS
from queuecast.domain.columns.missing_values import is_missing
from queuecast.domain.columns.moments import UNITS_NS, decimal_text, duration_text

UTC = "UTC"


def text_of(value: Any) -> str | None:
    """The text of a date, time, duration or decimal, exact to the nanosecond; None for any other value, also NaT."""
    if isinstance(value, str | float | int) or is_missing(value):
        return None
    if isinstance(value, date | time):
        return value.isoformat()  # also of a Timestamp, which has nanoseconds
    if isinstance(value, timedelta):
        return duration_text(value // timedelta(microseconds=1) * 1000 + getattr(value, "nanoseconds", 0))
    if isinstance(value, Decimal):
        return decimal_text(value) if value.is_finite() else str(value)
    return _text_of_numpy(value) if type(value).__name__ in ("datetime64", "timedelta64") else None


def _text_of_numpy(value: Any) -> str | None:
    name, _, unit = str(value.dtype).removesuffix("]").partition("[")
    if name == "datetime64":
        return str(value if unit in ("s", "ms", "us", "ns") else value.astype("datetime64[s]"))
    return duration_text(int(value.astype("int64")) * UNITS_NS[unit]) if unit in UNITS_NS else None


def class_of_objects(values: Iterable[Any]) -> str:
    """The class of Python's dates, times, durations or decimals, with their zone if they have one: "date",
    "Timestamp, Europe/Berlin". Empty for values of other classes.

    Raises ValueError for values of several classes, and for values of which some have a zone.
    """
    values = list(values)
    if not any(map(_is_text_class, set(map(type, values)))):
        return ""
    present = [value for value in values if not is_missing(value)]
    classes = {type(value).__name__ for value in present}
    if not classes:
        return ""
    zones = {_zone_of(value) for value in present}
    if len(classes) > 1:
        raise ValueError(f"holds {' and '.join(sorted(classes))}, expected values of one of these classes")
    (name,) = classes
    if name not in OBJECT_KINDS:
        raise ValueError(f"holds objects of the class {name}, which are not served as objects; convert the column")
    if zones <= {None}:
        return name
    if name == "time":
        raise ValueError("holds times of day with an offset, which is not served; expected times without one")
    if None in zones:
        raise ValueError("holds times of which some have a zone, expected all or none of them")
    return f"{name}, {zones.pop() if len(zones) == 1 else UTC}"


def _is_text_class(kind: type) -> bool:
    is_of_numpy = kind.__name__ in ("datetime64", "timedelta64")
    return is_of_numpy or (issubclass(kind, date | time | timedelta | Decimal) and kind.__name__ != "NaTType")


def _zone_of(value: Any) -> str | None:
    zone = value.tzinfo if isinstance(value, datetime | time) else None
    return None if zone is None else zone_name(zone)


def zone_name(zone: tzinfo) -> str:
    """A name with which every machine finds the zone; UTC for a zone without one."""
    if isinstance(zone, timezone):  # which may have any name
        return str(timezone(zone.utcoffset(None)))
    return str(getattr(zone, "key", None) or getattr(zone, "zone", None) or UTC)


def zone_named(name: str) -> tzinfo:
    """Raises ValueError, or ZoneInfoNotFoundError (a KeyError), for an unknown name."""
    if name == UTC:
        return timezone.utc  # noqa: UP017 - the class of the zone, as in `zone_name`
    if name.startswith(("UTC+", "UTC-")):
        offset = datetime.fromisoformat(f"2000-01-01T00:00:00{name[3:]}").tzinfo
        if offset is not None:
            return offset
    return ZoneInfo(name)


def plain_dtypes(frame: Any) -> dict[Any, Any]:
    """Column -> dtype, for the columns of a pandas frame that pyarrow cannot write to Parquet, or not exactly: sparse
    columns, categories other than strings, and objects of pandas' times, which lose their nanoseconds."""
    dtypes: dict[Any, Any] = {}
    for name, dtype in frame.dtypes.items():
        if str(dtype) == "object":
            dtypes |= _dtype_of_times(name, frame[name].tolist())
        if str(dtype).startswith("Sparse["):
            dtypes[name] = dtype.subtype
        elif str(dtype) == "category" and str(dtype.categories.dtype) not in ("str", "string"):
            dtypes[name] = object
    return dtypes


def _dtype_of_times(name: Any, values: list[Any]) -> dict[Any, str]:
    of_class, _, zone = class_of_objects(values).partition(", ")
    if of_class == "Timestamp":
        return {name: f"datetime64[ns, {zone}]" if zone else "datetime64[ns]"}
    return {name: "timedelta64[ns]"} if of_class == "Timedelta" else {}
