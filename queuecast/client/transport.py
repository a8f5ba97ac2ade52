"""HTTP requests to the gateway: sends them, retries them where that is safe, and turns failures into errors.

Owns retries and timeouts. Knows nothing of jobs, models or rows.
"""

import ipaddress
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import stamina

from queuecast.client.errors import ApiError, GatewayUnreachable
from queuecast.client.retry_logging import own_retries, silence_own_retries
from queuecast.client.row_formats.table_files import ProgressFile

Body = dict[str, Any]
FilePart = tuple[str, IO[bytes] | bytes, str]
"""A file in a multipart form: its name, content and media type."""

MAX_WAIT_S = 30  # the longest `Prefer: wait` that the gateway accepts
TOO_MANY_WAITERS = "too_many_waiters"


def read_json(response: httpx2.Response) -> Any:
    """The body of a response. Raises ApiError if it is not JSON, because then another server listens there."""
    try:
        return msgspec.json.decode(response.content)
    except msgspec.DecodeError as error:
        problem = _foreign_problem(response, "the answer is not JSON")
        raise ApiError(response.status_code, problem) from error


class Transport:
    """Requests to one gateway over pooled connections. Threads may share it."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the gateway's url is {url!r}, expected something like http://127.0.0.1:8000")
        silence_own_retries()
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        # A company's HTTP_PROXY cannot reach this machine's loopback.
        self._http = httpx2.Client(base_url=self.url, timeout=timeout_s, trust_env=not _is_loopback(parts.hostname))

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: IO[bytes] | ProgressFile | None = None,
        files: dict[str, FilePart] | None = None,
        form: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        wait_s: float = 0,
        retry_for_s: float | None = None,
        is_submit: bool = False,
        is_idempotent: bool = False,
    ) -> httpx2.Response:
        """Sends one request and returns its 2xx response.

        503 and 429 are retried after their Retry-After for every method, except `too_many_waiters`: the caller polls
        without waiting then. A broken connection is retried for GET, for a submit and for a request that
        `is_idempotent`. A submit carries an Idempotency-Key, so that the gateway answers a repeated one with the same
        job.
        retry_for_s: how long to retry, without a limit of attempts. None: a few attempts within 30 s.
        Raises ApiError for every other response and GatewayUnreachable if none came.
        """
        all_headers = dict(headers or {})
        if is_submit:
            all_headers["Idempotency-Key"] = str(uuid.uuid4())
        if wait_s:
            all_headers["Prefer"] = f"wait={wait_s:g}"
        encoded: bytes | None = None
        if body is not None:
            encoded = encode_json(body)
            all_headers["Content-Type"] = "application/json"
        timeout = httpx2.Timeout(self._timeout_s, read=self._timeout_s + wait_s)

        def send_once() -> httpx2.Response:
            if content is not None:
                content.seek(0)  # the attempt before this one has read it
            response = self._http.request(
                method,
                path,
                content=encoded if content is None else content,
                data=form,
                files=files,
                params=query,
                headers=all_headers,
                timeout=timeout,
            )
            if not response.is_success:
                raise _api_error(response)
            return response

        is_safe = method == "GET" or is_submit or is_idempotent
        try:
            return _with_retries(send_once, is_idempotent=is_safe, retry_for_s=retry_for_s)
        except httpx2.TransportError as error:
            raise self.unreachable(method, path, error, wait_s) from None

    def pages(self, path: str, query: dict[str, str]) -> Iterator[Body]:
        """The entries of a list. Each page is fetched when the iterator reaches it."""
        while True:
            page = read_json(self.send("GET", path, query=query))
            yield from page["data"]
            if not page.get("next_cursor"):
                return
            query = query | {"cursor": page["next_cursor"]}

    @contextmanager
    def stream(self, path: str, headers: dict[str, str] | None = None) -> Iterator[httpx2.Response]:
        """The 2xx response to a GET, with its body still to be read. Opening it is retried like any GET.

        Raises the errors of `send`, and httpx2.TransportError if the connection breaks while the body is read.
        """
        request = self._http.build_request("GET", path, headers=headers)

        def open_once() -> httpx2.Response:
            response = self._http.send(request, stream=True)
            if not response.is_success:
                with closing(response):
                    response.read()
                raise _api_error(response)
            return response

        try:
            response = _with_retries(open_once, is_idempotent=True, retry_for_s=None)
        except httpx2.TransportError as error:
            raise self.unreachable("GET", path, error) from None
        with closing(response):
            yield response

    def unreachable(
        self, method: str, path: str, error: httpx2.TransportError, wait_s: float = 0
    ) -> GatewayUnreachable:
        reason = error_text(error)
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            hint = "is it running? Set another address with --url, QUEUECAST_URL or Client(url=...)"
            return GatewayUnreachable(f"no gateway at {self.url} ({reason}); {hint}")
        if isinstance(error, httpx2.TimeoutException):
            line = f"{self.url} did not answer {method} {path} within {self._timeout_s + wait_s:g} s"
        else:
            line = f"the connection to {self.url} broke during {method} {path} ({reason})"
        if method == "POST":
            line += "; the request may have been accepted, so check the jobs before you send it again"
        return GatewayUnreachable(line)


def error_text(error: BaseException) -> str:
    """The error's message, without the operating system's error number in front of it."""
    return str(error).rpartition("] ")[2] or type(error).__name__


def encode_json(body: Any) -> bytes:
    """JSON bytes; numpy scalars and arrays become plain values. Raises ValueError for NaN and infinity."""
    return json.dumps(body, allow_nan=False, separators=(",", ":"), default=_plain_numpy).encode()


def _plain_numpy(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON: {str(value)[:60]!r}")


def _with_retries(
    send_once: Callable[[], httpx2.Response], *, is_idempotent: bool, retry_for_s: float | None
) -> httpx2.Response:
    limit_s = 30.0 if retry_for_s is None else retry_for_s  # a longer Retry-After becomes an error at once
    caller = stamina.RetryingCaller(attempts=5 if retry_for_s is None else None, timeout=limit_s, wait_jitter=0.1)
    with own_retries():
        return caller(_retry_rule(is_idempotent=is_idempotent, retry_for_s=limit_s), send_once)


def _retry_rule(*, is_idempotent: bool, retry_for_s: float) -> Callable[[Exception], bool | float]:
    """Decides for stamina after an error: False to give up, True for its own backoff, or the seconds to pause.

    is_idempotent: whether the request has the same effect if it arrives twice.
    """
    deadline = time.monotonic() + retry_for_s

    def pause(error: Exception) -> bool | float:
        if isinstance(error, ApiError):
            if error.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
                return False
            if error.problem.get("code") == TOO_MANY_WAITERS:
                return False  # another wait may be refused too, but a request that does not wait is answered
            if error.retry_after_s is None:
                return True
            return error.retry_after_s if error.retry_after_s <= deadline - time.monotonic() else False
        broken = httpx2.NetworkError | httpx2.RemoteProtocolError | httpx2.ConnectTimeout
        return is_idempotent and isinstance(error, broken)

    return pause


def _api_error(response: httpx2.Response) -> ApiError:
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    if not problem.get("title"):
        problem = _foreign_problem(response, response.text[:200]) | problem
    after = response.headers.get("Retry-After", "")
    return ApiError(response.status_code, problem, float(after) if after.isdecimal() else None)


def _foreign_problem(response: httpx2.Response, text: str) -> Body:
    """A problem document for the response of a proxy or of another server."""
    moved = f"moved to {response.headers['Location']}" if "Location" in response.headers else ""
    return {
        "title": response.reason_phrase or "unexpected answer",
        "status": response.status_code,
        "detail": f"{response.url} is not a queuecast gateway: {moved or text}",
    }


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def query_text(value: Any) -> str:
    """The value of a query parameter as text: times in ISO 8601, objects as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, dict) else str(value)
