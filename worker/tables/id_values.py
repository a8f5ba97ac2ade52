"""The types that an id column of a Parquet file may have, and their values in CSV and JSON."""

from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def can_be_id(kind: Any) -> bool:
    """kind: not a dictionary type. There is no single way to write bytes, and a nested value is several values."""
    if _is_uuid(kind):
        return True
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return not (is_bytes or pa.types.is_fixed_size_binary(kind) or pa.types.is_nested(kind))


def to_id_values(values: Any) -> Any:
    """UUIDs become text; any other extension type becomes its storage type."""
    if _is_uuid(values.type):
        texts = [None if value is None else str(UUID(bytes=value)) for value in values.storage.to_pylist()]
        return pa.array(texts, pa.string())
    return values.storage if isinstance(values.type, pa.BaseExtensionType) else values


def to_json_values(values: Any) -> list[Any]:
    """values: a chunked array. Times become ISO 8601 text, because Python's own types end at the year 9999 and at
    microseconds."""
    kind = values.type
    if pa.types.is_duration(kind):
        numbers = values.cast(pa.int64()).to_pylist()
        return [None if number is None else _iso_duration(number, _UNITS_PER_SECOND[kind.unit]) for number in numbers]
    if not pa.types.is_temporal(kind):
        return list(values.to_pylist())
    texts = pc.cast(values, pa.string())
    if pa.types.is_timestamp(kind):
        texts = pc.replace_substring(texts, " ", "T")
        if kind.tz is not None:
            texts = pc.replace_substring_regex(texts, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return list(texts.to_pylist())


def _is_uuid(kind: Any) -> bool:
    return isinstance(kind, pa.UuidType)


def _iso_duration(number: int, per_second: int) -> str:
    seconds, rest = divmod(abs(number), per_second)
    days, seconds = divmod(seconds, 86_400)
    fraction = f".{rest:0{len(str(per_second)) - 1}}" if rest else ""
    return f"{'-' if number < 0 else ''}P{days}DT{seconds}{fraction}S"
