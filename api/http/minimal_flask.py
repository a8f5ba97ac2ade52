"""Flask without sessions, signals, async views and hooks around a request, which this gateway does not use.

They take half of the Python time of a short request (docs/performance.md), and the GIL limits a gateway first. Only
public methods are overridden. Flask 3.2 passes them the context as first argument, and adapts overrides that do not
take it; `full_dispatch_request` passes on the arguments it gets, because the methods that it calls changed too.
"""

from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response
from flask.ctx import AppContext
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import BaseConverter, MapAdapter
from werkzeug.sansio.utils import get_host

from api.http.json_response import JsonResponse
from api.http.remembered_matches import Matches, RememberingAdapter

_NULL_SESSION = NullSession()


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return _NULL_SESSION


class VersionNumber(BaseConverter):
    """A version in a path: one spelling for each number, unlike Werkzeug's `int`. Its digits fit in 64 bits."""

    regex = "[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        return int(value)


class MinimalFlask(Flask):
    session_interface = _NoSessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.url_map.converters["version"] = VersionNumber
        self.matches: Matches = {}

    def full_dispatch_request(self, *ctx: AppContext) -> Response:
        """Calls no functions before or after the request, and does not convert a JsonResponse."""
        response: Any
        try:
            response = self.dispatch_request(*ctx)
        except Exception as error:
            response = self.handle_user_exception(*ctx, error)  # type: ignore[arg-type, call-arg]
        return response if isinstance(response, JsonResponse) else self.make_response(response)  # type: ignore[return-value]

    def do_teardown_request(self, exc: Any = None) -> None:
        """Calls the functions of the application, not those of a blueprint."""
        for function in self.teardown_request_funcs.get(None, ()):
            function(exc)

    def do_teardown_appcontext(self, exc: Any = None) -> None:
        """The gateway registers no functions for it."""

    def ensure_sync(self, func: Any) -> Any:
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Ignores SERVER_NAME, subdomains and trusted hosts: no route depends on the host."""
        if request is None:
            return None
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        return RememberingAdapter(
            self.matches,
            self.url_map,
            _redirect_host(scheme, environ.get("HTTP_HOST"), environ["SERVER_NAME"], environ["SERVER_PORT"]),
            environ.get("SCRIPT_NAME") or "/",
            "",
            scheme,
            environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            environ["REQUEST_METHOD"],
            environ.get("QUERY_STRING", ""),
        )


@lru_cache(maxsize=256)
def _redirect_host(scheme: str, header: str | None, server: str, port: str) -> str:
    return get_host(scheme, header, (server, int(port) if port.isdecimal() else None)).lower()
