"""JSON Schema (2020-12) of one row: an object with the names of the columns, a list of their values, or either."""

from collections.abc import Sequence
from typing import Any


def row_schema(
    columns: dict[str, dict[str, Any]], required: Sequence[str], *, takes_lists: bool, takes_names: bool
) -> dict[str, Any]:
    """columns: name -> schema of its values. Keywords for lists say nothing about objects, and the other way round.

    Other columns are ignored, unless a request refuses them.
    """
    kinds = [*(["array"] if takes_lists else []), *(["object"] if takes_names else [])]
    schema: dict[str, Any] = {"type": kinds if len(kinds) > 1 else kinds[0]}
    if takes_names:
        schema |= {"properties": columns, "required": list(required), "additionalProperties": True}
    if takes_lists:
        schema |= {"prefixItems": list(columns.values()), "items": False, "minItems": len(columns)}
    return schema
