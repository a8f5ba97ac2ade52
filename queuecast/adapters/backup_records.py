"""The records of a backup: the keys of Redis, as the backup file stores them."""

import msgspec


class Binary(msgspec.Struct):
    """Bytes that are not UTF-8."""

    base64: bytes


Value = str | Binary


class Record(msgspec.Struct, omit_defaults=True):
    """One key. values: the arguments of the command that writes them: field, value, ... or score, member, ...

    A large set or sorted set is split into several records.
    """

    key: Value
    type: str
    values: list[Value]
    expires_ms: int | None = None


def to_value(data: bytes) -> Value:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Binary(data)


def to_bytes(value: Value) -> bytes:
    return value.encode() if isinstance(value, str) else value.base64
