"""The JSON values that a column takes, as types for msgspec, and the parser for rows that msgspec refuses."""

import json
import math
from typing import Annotated, Any

import msgspec

from queuecast.domain.signature import INT64_MAX, INT64_MIN, ColumnType

VALUE_TYPES: dict[ColumnType, Any] = {
    ColumnType.NUMBER: float,
    ColumnType.INTEGER: Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)],
    ColumnType.STRING: str,
    ColumnType.BOOLEAN: bool,
}
NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of msgspec for bytes that are not JSON in UTF-8, or are nested too deeply."""


def is_field_name(name: str) -> bool:
    """msgspec takes no field name that JSON must escape."""
    return json.dumps(name, ensure_ascii=False) == f'"{name}"'


def parse_leniently(text: str | bytes, **options: Any) -> Any:
    """JSON in which a number that is too long to hold becomes infinite. Raises ValueError or RecursionError."""
    # A float has at most 309 digits before its point, and int() refuses more than 4,300.
    return json.loads(text, parse_int=lambda digits: int(digits) if len(digits) < 400 else math.inf, **options)
