"""WSGI middleware for every request. Below Flask it costs a tenth of a Flask hook."""

import io
import random
from typing import Any

from api.services.concurrency import FairLimiter

REQUEST_ID = "queuecast.request_id"  # in the environ
WHOLE_BODY = "queuecast.whole_body"  # in the environ: a small body that has as many bytes as its Content-Length says
SMALL_BYTES = 64 * 1024  # bodies up to this size are read, and responses joined, in memory


class RequestMiddleware:
    """Limits concurrent requests, adds `X-Request-ID` and `traceparent`, and joins the pieces of a short response.

    A small body is read before the request acquires a slot, so that a slow sender does not hold one; a request with a
    large body runs without a slot. granian sends a response that is a list in one call and any other piece by piece.
    """

    def __init__(self, limiter: FairLimiter, app: Any) -> None:
        self._limiter = limiter
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("wsgi.input_terminated", None)  # with it, Werkzeug accepts a body shorter than its Content-Length
        length = environ.get("CONTENT_LENGTH", "")
        if len(length) > 6 or (length.isdecimal() and int(length) > SMALL_BYTES):
            return self._respond(environ, start_response, joins_pieces=False)
        if length.isdecimal():
            body = environ["wsgi.input"].read(int(length))
            environ["wsgi.input"] = io.BytesIO(body)
            if len(body) == int(length):  # Werkzeug refuses a shorter one
                environ[WHOLE_BODY] = body
        with self._limiter.slot():
            return self._respond(environ, start_response, joins_pieces=True)

    def _respond(self, environ: dict[str, Any], start_response: Any, *, joins_pieces: bool) -> Any:
        environ[REQUEST_ID] = request_id = _request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        trace = environ.get("HTTP_TRACEPARENT", "")[:200]
        sent_headers: list[tuple[str, str]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal sent_headers
            sent_headers = headers
            headers.append(("X-Request-ID", request_id))
            if trace:
                headers.append(("traceparent", trace))
            return start_response(status, headers, exc_info)

        pieces = self._app(environ, start)
        if isinstance(pieces, list) or not (joins_pieces and _is_short(sent_headers)):
            return pieces
        try:
            return list(pieces)
        finally:
            pieces.close()


def _is_short(headers: list[tuple[str, str]]) -> bool:
    return any(name == "Content-Length" and int(value) <= SMALL_BYTES for name, value in headers)


def _request_id(sent: str) -> str:
    if sent.isascii() and sent.isprintable() and 0 < len(sent) <= 128:
        return sent
    return f"{random.getrandbits(128):032x}"
