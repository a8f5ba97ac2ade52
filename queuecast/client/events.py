"""A job's server-sent events from the gateway, over as many connections as it takes. Knows nothing of waiting."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from queuecast.client.transport import ApiError, Body, Transport

RECONNECT_S = 1.0
PASSING = "unavailable"  # the code of a problem that may be over when the stream is asked for again


def job_events(calls: Transport, path: str) -> Iterator[tuple[str, Body]]:
    """Names and jobs, until `completed`. Raises ApiError, and GatewayUnreachable when no new connection comes about."""
    seen = ""
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": seen} if seen else {})
        try:
            with calls.stream(path, headers) as response:
                if response.status_code == HTTPStatus.NO_CONTENT:  # its end was seen already
                    return
                for event in _checked(response):
                    if not event.data:  # only a hint when to come again
                        continue
                    body: Body = msgspec.json.decode(event.data, type=dict[str, Any])
                    if event.event == "error":
                        _require_passing(body)
                        break
                    seen = event.id
                    yield event.event, body
                    if event.event == "completed":
                        return
        except httpx2.TransportError:
            pass  # a gateway that restarts, or a proxy that closes what is open for long
        time.sleep(RECONNECT_S)


def _checked(response: httpx2.Response) -> httpx2.EventSource:
    found = response.headers.get("Content-Type", "")
    if not found.startswith("text/event-stream"):
        detail = f"{response.url} answered {found or 'without a type'}, expected text/event-stream"
        raise ApiError(response.status_code, {"title": "the answer is no event stream", "detail": detail})
    return httpx2.EventSource(response)


def _require_passing(problem: Body) -> None:
    if problem.get("code") != PASSING:
        raise ApiError(int(problem.get("status", 500)), problem)
