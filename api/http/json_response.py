"""A JSON response for the hot routes, 22 us cheaper than Werkzeug's (docs/performance.md).

Werkzeug spends most of that on a `Location` that might not be ASCII and on headers that might still change.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec

_STATUS_LINES = {status.value: f"{status.value} {status.phrase.upper()}" for status in HTTPStatus}
_encode = msgspec.json.Encoder().encode


class JsonResponse:
    """A WSGI application, which a view may return. headers: ASCII, without Content-Type and Content-Length."""

    __slots__ = ("_body", "_status", "headers")

    def __init__(self, body: Any, status: int, headers: dict[str, str]) -> None:
        self._body = _encode(body)
        self._status = status
        self.headers = headers

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(self._body)))]
        start_response(_STATUS_LINES[self._status], headers + list(self.headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self._body]
