"""Whether a value of any library is missing, and which kind of missing value it is.

Goes by the name of the type, so that the client and the domain need neither numpy nor pandas.
"""

from typing import Any

_OWN_TYPES = {"NAType": "NA", "NaTType": "NaT"}


def missing_kind(value: Any) -> str | None:
    """As in `queuecast.domain.signature.Missing`; None for a value that is not missing."""
    if value is None:
        return "None"
    name = type(value).__name__
    if isinstance(value, float) or name.startswith("float"):  # numpy's float32 is no float of Python
        return "nan" if value != value else None  # noqa: PLR0124 - only NaN differs from itself
    if name in ("datetime64", "timedelta64"):
        return "NaT" if str(value) == "NaT" else None
    if name == "Decimal":
        return "nan" if value.is_nan() else None
    return _OWN_TYPES.get(name)


def is_missing(value: Any) -> bool:
    return missing_kind(value) is not None
