"""Flask without what this gateway does not use: sessions, async views, signals, hooks, hosts that it routes by.

They were half of what a short request costs in Python, whose lock is what a gateway runs out of first.
"""

from functools import lru_cache
from typing import Any

from flask import Flask, Request, Response
from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter, Rule
from werkzeug.sansio.utils import get_host

from api.http.json_response import JsonResponse

_NO_SESSION = NullSession()
MOST_MATCHES = 256  # the first ones; a caller must not fill memory with paths


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return _NO_SESSION


class _QuietAppContext(AppContext):
    """Sends no signals, and calls no functions at its end: none are registered."""

    def push(self) -> None:
        self._cv_tokens.append(_cv_app.set(self))

    def pop(self, exc: Any = None) -> None:
        _cv_app.reset(self._cv_tokens.pop())


class _RememberingRequestContext(RequestContext):
    """Most requests go to one of a few paths: what such a one led to is remembered."""

    app: "LeanFlask"

    def match_request(self) -> None:
        adapter, matches = self.url_adapter, self.app.matches
        if adapter is None:
            return
        asked = adapter.default_method, adapter.path_info
        found = matches.get(asked)
        if found is not None:
            self.request.url_rule, self.request.view_args = found[0], dict(found[1])
            return
        super().match_request()
        rule, values = self.request.url_rule, self.request.view_args
        if rule is not None and values is not None and len(matches) < MOST_MATCHES and "job_id" not in values:
            matches[asked] = rule, values


class LeanFlask(Flask):
    session_interface = _NoSessions()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.matches: dict[tuple[str, str], tuple[Rule, dict[str, Any]]] = {}

    def app_context(self) -> AppContext:
        return _QuietAppContext(self)

    def request_context(self, environ: Any) -> RequestContext:
        return _RememberingRequestContext(self, environ)

    def full_dispatch_request(self) -> Response:
        """Calls no function before or after a request, and sends no signals; functions for its teardown are called."""
        self._got_first_request = True
        found: Any
        try:
            found = self.dispatch_request()
        except Exception as error:
            found = self.handle_user_exception(error)
        return found if isinstance(found, JsonResponse) else self.make_response(found)  # type: ignore[return-value]

    def do_teardown_request(self, exc: Any = None) -> None:
        """Calls what the gateway has registered, for all of its requests alike."""
        for function in self.teardown_request_funcs.get(None, ()):
            function(exc)

    def ensure_sync(self, func: Any) -> Any:
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None
        environ = request.environ
        scheme = environ["wsgi.url_scheme"]
        server = environ["SERVER_NAME"], environ["SERVER_PORT"]
        return MapAdapter(
            self.url_map,
            _host(scheme, environ.get("HTTP_HOST"), *server),
            environ.get("SCRIPT_NAME") or "/",
            "",
            scheme,
            environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
            environ["REQUEST_METHOD"],
            environ.get("QUERY_STRING", ""),
        )


@lru_cache(maxsize=256)
def _host(scheme: str, header: str | None, server: str, port: str) -> str:
    """Where a redirect leads."""
    return get_host(scheme, header, (server, int(port) if port.isdecimal() else None)).lower()
