"""Ids of Parquet files: which types can be one, and how those are written that CSV or JSON have no word for."""

from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

_DAY_S = 86_400
_A_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def can_be_id(kind: Any) -> bool:
    """kind: not that of a dictionary. Bytes have no one way to be written, and what is nested is not one value."""
    if _is_uuid(kind):
        return True
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    is_bytes = kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_binary_view(kind)
    return not (is_bytes or kinds.is_fixed_size_binary(kind) or kinds.is_nested(kind))


def to_id_values(values: Any) -> Any:
    """UUIDs as text, and what else is an extension as what it is stored as."""
    if _is_uuid(values.type):
        texts = [None if value is None else str(UUID(bytes=value)) for value in values.storage.to_pylist()]
        return pa.array(texts, pa.string())
    return values.storage if isinstance(values.type, pa.BaseExtensionType) else values


def to_json_values(values: Any) -> list[Any]:
    """values: a chunked array. Times are written as ISO 8601 has them: Python's reach to the year 9999, and to
    microseconds."""
    kind = values.type
    if kinds.is_duration(kind):
        numbers = values.cast(pa.int64()).to_pylist()
        return [None if number is None else _period(number, _A_SECOND[kind.unit]) for number in numbers]
    if not kinds.is_temporal(kind):
        return list(values.to_pylist())
    texts = pc.cast(values, pa.string())
    if kinds.is_timestamp(kind):
        texts = pc.replace_substring(texts, " ", "T")
        if kind.tz is not None:
            texts = pc.replace_substring_regex(texts, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return list(texts.to_pylist())


def _is_uuid(kind: Any) -> bool:
    return isinstance(kind, pa.UuidType)


def _period(number: int, a_second: int) -> str:
    seconds, rest = divmod(abs(number), a_second)
    days, seconds = divmod(seconds, _DAY_S)
    fraction = f".{rest:0{len(str(a_second)) - 1}}" if rest else ""
    return f"{'-' if number < 0 else ''}P{days}DT{seconds}{fraction}S"
