"""A dataclass as JSON whose field names are older than the names of its attributes."""

from dataclasses import MISSING, fields
from typing import Any, Generic, TypeVar, cast, get_type_hints

import msgspec

T = TypeVar("T")


class StoredForm(Generic[T]):
    """Encodes and decodes one dataclass. A field that has its default is not stored.

    stored_names: attribute -> the name of its field in JSON, where the two differ.
    """

    def __init__(self, kind: type[T], stored_names: dict[str, str]) -> None:
        types = get_type_hints(kind)
        self._kind = kind
        own = fields(cast(Any, kind))
        self._names = [field.name for field in own]
        self._struct: Any = msgspec.defstruct(
            kind.__name__,
            [(field.name, types[field.name], *(() if field.default is MISSING else (field.default,))) for field in own],
            rename=stored_names,
            omit_defaults=True,
        )
        self._decoder = msgspec.json.Decoder(self._struct)

    def encode(self, record: T) -> bytes:
        return msgspec.json.encode(self._struct(*(getattr(record, name) for name in self._names)))

    def decode(self, data: bytes) -> T:
        return self._kind(*msgspec.structs.astuple(self._decoder.decode(data)))
