"""Rows that are objects with any keys, for an estimator that was fitted on dicts: which values they may have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Any

from queuecast.domain.errors import Finding, mismatch, shortened
from queuecast.domain.findings.json_texts import encodable, escaped, shown

MAX_KEYS = 10_000  # of one row; a list has as many words at most
MAX_KNOWN_KEYS = 1_000


class ValueKind(StrEnum):
    """A vectorizer of dicts treats a word and a number differently, and a word and a list of words."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    WORDS = "words"
    NULL = "null"


_WORDS = {
    ValueKind.STRING: "a string",
    ValueKind.NUMBER: "a finite number",
    ValueKind.BOOLEAN: "true or false",
    ValueKind.WORDS: f"a list of at most {MAX_KEYS:,} strings",
    ValueKind.NULL: "null",
}
_KINDS = {str: ValueKind.STRING, bool: ValueKind.BOOLEAN, type(None): ValueKind.NULL}


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of the rows of the fit, and the kinds of its values. is_always: whether every row had it."""

    name: str
    kinds: tuple[ValueKind, ...]
    is_always: bool = False


@dataclass(frozen=True, slots=True)
class ObjectRows:
    """kinds: the values that the estimator answers at any key. keys: those of the fit, which may have further kinds of
    values. has_more_keys: whether there were too many keys to know them all."""

    kinds: tuple[ValueKind, ...] = ()
    keys: tuple[KnownKey, ...] = ()
    has_more_keys: bool = False

    def __hash__(self) -> int:
        """Of a part: every request looks its signature up."""
        return hash((self.kinds, len(self.keys)))

    @property
    def all_kinds(self) -> frozenset[ValueKind]:
        """The kinds of the values at any of the keys."""
        return frozenset(self.kinds).union(*(key.kinds for key in self.keys))

    def key(self, name: str) -> KnownKey | None:
        return _by_name(self).get(name)

    def kinds_of(self, key: str) -> tuple[ValueKind, ...]:
        known = self.key(key)
        own = () if known is None else known.kinds
        return tuple(kind for kind in ValueKind if kind in self.kinds or kind in own)

    def findings(self, row: Any, at: str) -> Iterator[Finding]:
        if not isinstance(row, dict):
            yield mismatch(at, "wrong_type", shown(row), "an object")
            return
        if len(row) > MAX_KEYS:
            yield mismatch(at, "wrong_length", f"{len(row):,} keys", f"at most {MAX_KEYS:,}")
            return
        for key, value in row.items():
            kinds = self.kinds_of(key)
            if kind_of_value(value) not in kinds:
                expected = " or ".join(_WORDS[kind] for kind in kinds) or "no value at a key that the fit did not have"
                code = "null" if value is None else "wrong_type"
                yield mismatch(f"{at}/{escaped(key)}", code, shown(value), expected, shortened(encodable(key)))

    def json_schema(self) -> dict[str, Any]:
        """Of one row. `x-always`: keys that every row of the fit had."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {key.name: _schema_of(self.kinds_of(key.name)) for key in self.keys},
            "additionalProperties": _schema_of(_ordered(self.kinds)) if self.kinds else False,
            "maxProperties": MAX_KEYS,
        }
        for key in self.keys:
            schema["properties"][key.name]["x-kinds"] = list(key.kinds)
        return schema | {"x-always": [key.name for key in self.keys if key.is_always]}


@lru_cache(maxsize=64)
def _by_name(objects: ObjectRows) -> Mapping[str, KnownKey]:
    return {key.name: key for key in objects.keys}


def objects_of_schema(schema: Mapping[str, Any]) -> ObjectRows:
    """The inverse of `ObjectRows.json_schema`."""
    always = set(schema.get("x-always", ()))
    keys = tuple(
        KnownKey(name, tuple(map(ValueKind, rule.get("x-kinds", ()))), name in always)
        for name, rule in schema.get("properties", {}).items()
    )
    other = schema.get("additionalProperties")
    types = other.get("type", ()) if isinstance(other, Mapping) else ()
    return ObjectRows(_ordered([ValueKind.WORDS if each == "array" else ValueKind(each) for each in types]), keys)


def kind_of_value(value: Any) -> ValueKind | None:
    """The kind of a JSON value; None for an object, a list of other things, and a number that no float holds."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, int | float):
        try:
            return ValueKind.NUMBER if abs(float(value)) < float("inf") else None
        except OverflowError:
            return None
    are_words = isinstance(value, list) and len(value) <= MAX_KEYS and all(isinstance(word, str) for word in value)
    return ValueKind.WORDS if are_words else None


def keys_of_rows(rows: Iterable[Mapping[str, Any]], known: ObjectRows | None = None) -> ObjectRows:
    """The keys of JSON rows, with those that were known before. Raises ValueError for a value that is not served."""
    found: dict[str, set[ValueKind]] = {}
    counts: dict[str, int] = {}
    n_rows = 0
    for at, row in enumerate(rows):
        n_rows += 1
        for key, value in row.items():
            kind = kind_of_value(value)
            if kind is None:
                raise ValueError(
                    f"row {at}, key {shortened(key)!r}: found {shown(value)}, expected a string, a finite number, a "
                    "boolean, None, or a list of strings"
                )
            found.setdefault(key, set()).add(kind)
            counts[key] = counts.get(key, 0) + 1
    keys = {key.name: key for key in known.keys} if known is not None else {}
    for name, kinds in found.items():
        before = keys.get(name)
        is_always = counts[name] == n_rows and (known is None or (before is not None and before.is_always))
        keys[name] = KnownKey(name, _ordered([*kinds, *(before.kinds if before else ())]), is_always)
    kept = tuple(islice((_as_counted(key, found) for key in keys.values()), MAX_KNOWN_KEYS))
    return ObjectRows((), kept, len(keys) > MAX_KNOWN_KEYS or (known is not None and known.has_more_keys))


def _as_counted(key: KnownKey, found: Mapping[str, Any]) -> KnownKey:
    return key if key.name in found or not key.is_always else KnownKey(key.name, key.kinds)


def _ordered(kinds: Sequence[ValueKind]) -> tuple[ValueKind, ...]:
    return tuple(kind for kind in ValueKind if kind in kinds)


def _schema_of(kinds: Sequence[ValueKind]) -> dict[str, Any]:
    types = [kind.value for kind in kinds if kind is not ValueKind.WORDS]
    if ValueKind.WORDS not in kinds:
        return {"type": types}
    return {"type": [*types, "array"], "items": {"type": "string"}, "maxItems": MAX_KEYS}
