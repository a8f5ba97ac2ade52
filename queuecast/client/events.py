"""Reads a job's server-sent events from the gateway, and reconnects until the job has ended."""

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import httpx2
import msgspec

from queuecast.client.errors import ApiError
from queuecast.client.transport import Body, Transport

RECONNECT_S = 1.0


def job_events(transport: Transport, path: str) -> Iterator[tuple[str, Body]]:
    """Event names and jobs, up to `completed`. Raises ApiError, and GatewayUnreachable if it cannot reconnect."""
    last_id = ""
    while True:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        try:
            with transport.stream(path, headers) as response:
                if response.status_code == HTTPStatus.NO_CONTENT:  # the job has ended, and its last event was received
                    return
                for event in _checked(response):
                    if not event.data:  # only sets the delay for a reconnect
                        continue
                    body: Body = msgspec.json.decode(event.data, type=dict[str, Any])
                    if event.event in ("problem", "error"):  # a gateway of version 0.1.0 says `error`
                        _require_temporary(body)
                        break
                    last_id = event.id
                    yield event.event, body
                    if event.event == "completed":
                        return
        except httpx2.TransportError:
            pass  # the gateway restarts, or a proxy closes long connections
        time.sleep(RECONNECT_S)


def _checked(response: httpx2.Response) -> httpx2.EventSource:
    media_type = response.headers.get("Content-Type", "")
    if not media_type.startswith("text/event-stream"):
        detail = f"{response.url} answered with {media_type or 'no media type'}, expected text/event-stream"
        raise ApiError(response.status_code, {"title": "the answer is not an event stream", "detail": detail})
    return httpx2.EventSource(response)


def _require_temporary(problem: Body) -> None:
    if problem.get("code") != "unavailable":
        raise ApiError(int(problem.get("status", 500)), problem)
