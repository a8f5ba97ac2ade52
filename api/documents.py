"""The API's own documents: `/openapi.json`, made of the types that validate, and `/docs`, which needs no network.


What a route takes and answers is noted when the gateway starts. The libraries that make a document of it hold 38 MB,
and most gateways are never asked for one, so `api.openapi` and they are loaded when somebody asks.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Description:
    """What a view takes and answers. answers: status -> type of the body, None for none."""

    view: Callable[..., Any]
    tag: str
    answers: dict[int, Any]
    json: Any
    query: Any
    form: Any
    headers: Any
    files: tuple[str, ...] = ()


class Documents:
    """Collects what each route takes and answers. It validates nothing: views decode with the same types themselves."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._descriptions: list[Description] = []
        self._lock = threading.Lock()
        self._spec = b""
        self._page = b""

    def route(
        self,
        *,
        tag: str,
        answers: dict[int, Any],
        json: Any = None,
        query: Any = None,
        form: Any = None,
        headers: Any = None,
        files: Iterable[str] = (),
    ) -> Callable[[View], View]:
        """Describes a view. answers: status -> type of the body, None for none; problems are Problem.

        A body that is no JSON is a media type and a sentence: `"text/event-stream: one event a change"`. files: media
        types of files that it answers too.
        """

        def describe(view: View) -> View:
            self._descriptions.append(Description(view, tag, answers, json, query, form, headers, tuple(files)))
            return view

        return describe

    def serve(self, app: Flask) -> None:
        """Adds the two routes. Call it once, after all others."""

        @app.get("/openapi.json")
        def openapi() -> Response:
            self._make(app)
            return Response(self._spec, mimetype="application/json")

        @app.get("/docs")
        def docs() -> Response:
            self._make(app)
            return Response(self._page, mimetype="text/html")

    def _make(self, app: Flask) -> None:
        with self._lock:
            if self._spec:
                return
            from api.openapi import openapi_document, openapi_page  # noqa: PLC0415 - see above

            self._page = openapi_page()
            self._spec = openapi_document(self._descriptions, app, self._version)
