"""What goes around every request, as WSGI: below Flask, where it costs a tenth of what a hook costs."""

import io
import random
from typing import Any

from api.services.concurrency import FairLimiter

REQUEST_ID = "queuecast.request_id"  # in the environ
LARGE_BODY_BYTES = 64 * 1024  # a smaller one is read before its turn; a larger one goes on beside the turns
WHOLE_ANSWER_BYTES = 64 * 1024  # a larger one may be a file, which memory need not hold
MAX_REQUEST_ID_CHARS = 128


class RequestMiddleware:
    """Requests take turns, bodies are measured by their length, answers name their request, and short ones go whole.

    A server that promises to end the stream itself makes Werkzeug take a body cut short for a whole one. An answer that
    is a list is sent by granian at once; any other is carried over piece by piece.
    """

    def __init__(self, turnstile: FairLimiter, app: Any) -> None:
        self._turnstile = turnstile
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("wsgi.input_terminated", None)
        length = environ.get("CONTENT_LENGTH", "")
        if len(length) > 6 or (length.isdecimal() and int(length) > LARGE_BODY_BYTES):
            return self._answer(environ, start_response, may_be_whole=False)
        if length.isdecimal():  # whoever sends it slowly keeps nobody from his turn
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        with self._turnstile.inside():
            return self._answer(environ, start_response, may_be_whole=True)

    def _answer(self, environ: dict[str, Any], start_response: Any, *, may_be_whole: bool) -> Any:
        environ[REQUEST_ID] = request_id = _request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        trace = environ.get("HTTP_TRACEPARENT")
        sent: list[tuple[str, str]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal sent
            sent = headers
            headers.append(("X-Request-ID", request_id))
            if trace is not None:
                headers.append(("traceparent", trace))
            return start_response(status, headers, exc_info)

        pieces = self._app(environ, start)
        if isinstance(pieces, list) or not (may_be_whole and _is_short(sent)):
            return pieces
        try:
            return list(pieces)
        finally:
            pieces.close()


def _is_short(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Length" and int(value) <= WHOLE_ANSWER_BYTES for name, value in headers)


def _request_id(given: str) -> str:
    if given.isascii() and given.isprintable() and 0 < len(given) <= MAX_REQUEST_ID_CHARS:
        return given
    return f"{random.getrandbits(128):032x}"
