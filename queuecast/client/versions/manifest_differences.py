"""The differences between the manifests of two versions."""

from collections.abc import Iterator
from typing import Any

Body = dict[str, Any]
ABSENT = object()
_OF_EACH_VERSION = frozenset({"model", "version", "job_id"})
_LARGE = frozenset({"signature.example", "lineage.bad_cells"})


def manifest_differences(left: Body, right: Body) -> list[Body]:
    """Each field with another value: `field`, its path in the manifest, and its value as `left` and as `right`.

    A value that one manifest lacks is left out there. A column of the signature is a field under its name, so its place
    among the columns is no difference; `signature.order` is.
    """
    lefts, rights = dict(_fields(_by_name(left))), dict(_fields(_by_name(right)))
    names = [*lefts, *(name for name in rights if name not in lefts)]
    return [
        {"field": name} | {side: each[name] for side, each in (("left", lefts), ("right", rights)) if name in each}
        for name in names
        if lefts.get(name, ABSENT) != rights.get(name, ABSENT)
    ]


def _by_name(manifest: Body) -> Body:
    signature = manifest.get("signature") or {}
    columns = {column["name"]: column for column in signature.get("columns", ())}
    named = signature | {"columns": columns, "order": list(columns)}
    return {name: value for name, value in manifest.items() if name not in _OF_EACH_VERSION} | {"signature": named}


def _fields(value: Body, path: str = "") -> Iterator[tuple[str, Any]]:
    """The path and the value of everything in nested objects that is no object itself."""
    for name, inner in value.items():
        inner_path = f"{path}{name}"
        if isinstance(inner, dict) and inner:
            yield from _fields(inner, f"{inner_path}.")
        elif inner_path not in _LARGE:
            yield inner_path, inner
