"""msgspec types -> the schemas of the OpenAPI document, in the form that generators of clients understand."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import msgspec

# Their values are data, and no schemas.
_DATA = frozenset({"examples", "default", "mapping", "required", "enum", "const"})
# Generated clients know a component by the name that the type once had.
_COMPONENT_NAMES = {"PromotionPolicy": "Promote"}
_REFERENCE = "#/components/schemas/"


class SchemaComponents:
    """The schemas of the given types, and `schemas`, all the named ones that they lead to."""

    def __init__(self, types: Iterable[Any]) -> None:
        unique = list({id(kind): kind for kind in types}.values())
        own, named = msgspec.json.schema_components(unique, ref_template=_REFERENCE + "{name}")
        self.schemas: dict[str, Any] = {}
        for type_name, schema in named.items():
            name = _COMPONENT_NAMES.get(type_name, type_name)
            self.schemas[name] = self._simplified(schema, name)
        self._of_type = {id(kind): self._simplified(schema) for kind, schema in zip(unique, own, strict=True)}

    def of(self, kind: Any) -> dict[str, Any]:
        """kind: a type, a JSON Schema, or a tuple of them of which any may hold."""
        if isinstance(kind, tuple):
            return {"anyOf": [self.of(each) for each in kind]}
        if isinstance(kind, dict):
            simplified: dict[str, Any] = self._simplified(kind)
            return simplified
        return deepcopy(self._of_type[id(kind)])

    def used_in(self, value: Any) -> dict[str, Any]:
        """The named schemas that `value` refers to, directly or through another schema, by name."""
        found: dict[str, Any] = {}
        pending = [value]
        while pending:
            each = pending.pop()
            if isinstance(each, dict):
                reference = each.get("$ref")
                name = reference.removeprefix(_REFERENCE) if isinstance(reference, str) else ""
                if name in self.schemas and name not in found:
                    found[name] = self.schemas[name]
                    pending.append(found[name])
                pending.extend(each.values())
            elif isinstance(each, list):
                pending.extend(each)
        return dict(sorted(found.items()))

    def _simplified(self, schema: Any, name: str = "") -> Any:
        """Makes a component of each titled part, a constant of a single choice, and leaves out defaults of null.

        name: of the component that the schema is already.
        """
        if isinstance(schema, list):
            return [self._simplified(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        schema = {key: self._part(key, value) for key, value in schema.items()}
        if schema.get("default", 0) is None:
            del schema["default"]
        if schema.get("type") == "array":
            schema.setdefault("items", {})
        choices = schema.get("enum")
        if choices and all(isinstance(choice, str) for choice in choices):
            schema = {"type": "string", **schema}
            if len(choices) == 1:
                schema["const"] = schema.pop("enum")[0]
        title = schema.get("title", name)
        if title == name:
            return schema
        default = {"default": schema.pop("default")} if "default" in schema else {}
        self.schemas[title] = schema
        return {"$ref": _REFERENCE + title} | default

    def _part(self, key: str, value: Any) -> Any:
        if key in _DATA:
            return value
        if key == "title":
            return _COMPONENT_NAMES.get(value, value)
        if key == "$ref":
            name = value.removeprefix(_REFERENCE)
            return _REFERENCE + _COMPONENT_NAMES.get(name, name)
        if key == "properties":
            return {name: self._simplified(each) for name, each in value.items()}
        return self._simplified(value)
