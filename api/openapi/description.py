"""Routes and their types -> the OpenAPI 3.1 document at `/openapi.json`, and the page at `/docs` that shows it."""

import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec
from flask import Flask, Response

from api.openapi.components import SchemaComponents
from api.openapi.docs_page import docs_page
from api.openapi.elements import header_elements, link_elements, operation_element
from api.openapi.operations import Operation, operations
from api.openapi.response_parts import REQUEST_ID, RETRY_AFTER, UNSATISFIED_RANGE
from api.schemas.jobs import Job
from api.schemas.problems import Problem

_DESCRIPTION = """\
queuecast turns a trained scikit-learn model into an asynchronous service. Submit a job and get its id at once; then \
wait for the result, poll the job or follow its events.

Every error is an RFC 9457 problem document with a stable `code`. `X-Request-ID` and `traceparent` are accepted and \
returned. A request that was answered with 503 may succeed later: send it again after `Retry-After` seconds."""


class ApiDescription:
    """Registers routes and describes them. It validates nothing: the views decode with the same types themselves."""

    def __init__(self, version: str, maxima: Mapping[str, float]) -> None:
        """maxima: the greatest values that are settings, by the titles of their schemas."""
        self._version = version
        self._maxima = maxima
        self._operations: list[Operation] = []
        self._tags: dict[str, str] = {}

    def add(self, app: Flask, routes: object) -> None:
        """routes: an object with described views. The first class of a tag describes the tag by its docstring."""
        for operation, view in operations(routes):
            app.add_url_rule(operation.path, operation.name, view, methods=[operation.method])
            self._operations.append(operation)
            self._tags.setdefault(operation.tag, inspect.cleandoc(type(routes).__doc__ or ""))

    def serve(self, app: Flask) -> None:
        app.add_url_rule("/openapi.json", "openapi", lambda: Response(self._json, mimetype="application/json"))
        app.add_url_rule("/docs", "docs", lambda: Response(docs_page(), mimetype="text/html"))

    @cached_property
    def _json(self) -> bytes:
        """Built for the first request: most gateways are never asked for it."""
        return msgspec.json.encode(self._document())

    def _document(self) -> dict[str, Any]:
        schemas = SchemaComponents(self._types())
        for title, maximum in self._maxima.items():
            schemas.schemas[title]["maximum"] = maximum
        codes = {refusal.code for operation in self._operations for refusal in operation.refusals}
        schemas.schemas["Problem"]["properties"]["code"]["examples"] = sorted(codes)
        paths: dict[str, dict[str, Any]] = {}
        for operation in self._operations:
            element = operation_element(operation, schemas)
            paths.setdefault(operation.path_template, {})[operation.method.lower()] = element
        answers = [answer for operation in self._operations for answer in operation.answers.values()]
        headers = tuple(header for answer in answers for header in answer.headers)
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "queuecast",
                "version": self._version,
                "summary": "A trained scikit-learn model as an asynchronous service",
                "description": _DESCRIPTION,
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/", "description": "This gateway"}],
            "security": [],
            "tags": [{"name": name, "description": description} for name, description in self._tags.items()],
            "paths": paths,
            "components": {
                "schemas": schemas.used_in(paths),
                "headers": header_elements((REQUEST_ID, RETRY_AFTER, UNSATISFIED_RANGE, *headers)),
                "links": link_elements(tuple(link for answer in answers for link in answer.links)),
            },
        }

    def _types(self) -> Iterator[Any]:
        yield from (Job, Problem)  # the data of an event refers to them
        for operation in self._operations:
            yield from operation.parameters
            bodies = [] if operation.body is None else [operation.body.content]
            for content in [*bodies, *(answer.content for answer in operation.answers.values())]:
                for body in content.values():
                    kinds = body if isinstance(body, tuple) else (body,)
                    yield from (kind for kind in kinds if kind is not None and not isinstance(kind, dict))
