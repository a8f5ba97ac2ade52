"""Compares a JSON value with a msgspec type and finds the differences.

msgspec names the first one in an English sentence. Nothing here depends on its words.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Raw, inspect

from queuecast.domain.errors import Finding, mismatch, shortened
from queuecast.domain.findings.json_texts import escaped, shown
from queuecast.domain.findings.nearest_names import unknown_name

_TYPE_NAMES: dict[type[inspect.Type], tuple[str, Any]] = {
    inspect.NoneType: ("null", type(None)),
    inspect.BoolType: ("true or false", bool),
    inspect.IntType: ("a whole number", int),
    inspect.FloatType: ("a number", (int, float)),
    inspect.StrType: ("a string", str),
    inspect.ListType: ("a list", list),
    inspect.DictType: ("an object", dict),
    inspect.StructType: ("an object", dict),
}


def mismatches(kind: inspect.Type, value: Any, at: str) -> Iterator[Finding]:
    """Where the value differs from the type, in the order of the value. at: the pointer to the value.

    A value that was left as text (`Raw`) is one that msgspec accepts.
    """
    if isinstance(value, Raw):
        return
    match kind:
        case inspect.Metadata(type=inner):
            yield from mismatches(inner, value, at)
        case inspect.UnionType(types=choices):
            of_type = [choice for choice in choices if has_type(choice, value)]
            if not of_type:
                yield mismatch(at, "wrong_type", show(value), _wanted(kind))
            elif all(next(mismatches(choice, value, at), None) for choice in of_type):
                yield from mismatches(of_type[0], value, at)
        case inspect.AnyType():
            yield from _numbers_out_of_range(value, at)
        case _ if not has_type(kind, value):
            yield mismatch(at, "wrong_type", show(value), _wanted(kind))
        case _:
            yield from _content_mismatches(kind, value, at)


def _content_mismatches(kind: inspect.Type, value: Any, at: str) -> Iterator[Finding]:
    """As `mismatches`, for a value of the right JSON type."""
    match kind:
        case inspect.EnumType() | inspect.LiteralType():
            choices = _choices(kind)
            if value not in choices:
                yield unknown_name(mismatch(at, "unknown_value", show(value), _wanted(kind)), value, choices)
        case inspect.StructType():
            yield from _struct_mismatches(kind, value, at)
        case inspect.DictType(value_type=inner):
            for name, item in value.items():
                yield from mismatches(inner, item, f"{at}/{escaped(name)}")
        case inspect.ListType(item_type=inner):
            yield from _length_mismatches(kind, value, at, "items")
            for index, item in enumerate(value):
                yield from mismatches(inner, item, f"{at}/{index}")
        case inspect.StrType(pattern=pattern):
            yield from _length_mismatches(kind, value, at, "characters")
            if pattern is not None and re.search(pattern, value) is None:
                yield mismatch(at, "wrong_format", show(value), f"text that matches {pattern}")
        case inspect.IntType() | inspect.FloatType():
            yield from _numbers_out_of_range(value, at)
            yield from _bound_mismatches(kind, value, at)


def has_type(kind: inspect.Type, value: Any) -> bool:
    """Whether the value has the JSON type that `kind` takes, whatever its bounds are."""
    match kind:
        case inspect.Metadata(type=inner):
            return has_type(inner, value)
        case inspect.UnionType(types=choices):
            return any(has_type(choice, value) for choice in choices)
        case inspect.EnumType() | inspect.LiteralType():
            return isinstance(value, str)
    _, python_type = _TYPE_NAMES.get(type(kind), ("", object))
    is_bool_for_number = isinstance(value, bool) and python_type not in (bool, object)
    return isinstance(value, python_type) and not is_bool_for_number


def show(value: Any) -> str:
    return repr(shortened(value)) if isinstance(value, str) else shown(value)


def _wanted(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(type=inner):
            return _wanted(inner)
        case inspect.UnionType(types=choices):
            return " or ".join(_wanted(choice) for choice in choices)
        case inspect.EnumType() | inspect.LiteralType():
            return f"one of {', '.join(map(str, _choices(kind)))}"
    return _TYPE_NAMES[type(kind)][0]


def _choices(kind: inspect.EnumType | inspect.LiteralType) -> list[Any]:
    return [member.value for member in kind.cls] if isinstance(kind, inspect.EnumType) else list(kind.values)


def _struct_mismatches(kind: inspect.StructType, value: dict[str, Any], at: str) -> Iterator[Finding]:
    fields = {field.encode_name: field for field in kind.fields}
    for name, item in value.items():
        if name in fields:
            yield from mismatches(fields[name].type, item, f"{at}/{escaped(name)}")
        elif kind.forbid_unknown_fields:
            found, expected = f"an unknown field {show(name)}", f"only {', '.join(fields)}"
            finding = mismatch(f"{at}/{escaped(name)}", "unknown_field", found, expected)
            yield unknown_name(finding, name, fields)
    for name, field in fields.items():
        if field.required and name not in value:
            yield mismatch(
                f"{at}/{escaped(name)}", "missing_field", f"no field {name!r}", f"the fields {', '.join(fields)}"
            )


def _bound_mismatches(kind: inspect.IntType | inspect.FloatType, value: float, at: str) -> Iterator[Finding]:
    for bound, is_kept, words in (
        (kind.ge, kind.ge is None or value >= kind.ge, "at least"),
        (kind.gt, kind.gt is None or value > kind.gt, "more than"),
        (kind.le, kind.le is None or value <= kind.le, "at most"),
        (kind.lt, kind.lt is None or value < kind.lt, "less than"),
    ):
        if not is_kept:
            yield mismatch(at, "out_of_range", show(value), f"{words} {bound}")


def _length_mismatches(
    kind: inspect.ListType | inspect.StrType, value: list[Any] | str, at: str, unit: str
) -> Iterator[Finding]:
    if kind.min_length is not None and len(value) < kind.min_length:
        yield mismatch(at, "wrong_length", f"{len(value)} {unit}", f"at least {kind.min_length}")
    if kind.max_length is not None and len(value) > kind.max_length:
        yield mismatch(at, "wrong_length", f"{len(value)} {unit}", f"at most {kind.max_length}")


def _numbers_out_of_range(value: Any, at: str) -> Iterator[Finding]:
    """Walks without recursion, because the caller decides how deeply the value is nested."""
    levels: list[Iterator[tuple[Any, Any]]] = [iter([("", value)])]
    names: list[Any] = []  # of the containers that are open; the first is the value itself
    while levels:
        for name, item in levels[-1]:
            if isinstance(item, float) and not math.isfinite(item):
                place = at + "".join(f"/{escaped(str(each))}" for each in [*names, name][1:])
                yield mismatch(place, "out_of_range", "a number that is too large", "a finite number")
            elif isinstance(item, dict | list):
                names.append(name)
                levels.append(iter(item.items() if isinstance(item, dict) else enumerate(item)))
                break
        else:
            levels.pop()
            del names[-1:]
