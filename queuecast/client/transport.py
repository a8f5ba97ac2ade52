"""One HTTP call to the gateway: sent, retried where that cannot do a thing twice, answered or explained.

Owns retries, timeouts and the words of errors; knows nothing of jobs, models or rows.
"""

import ipaddress
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import stamina

from queuecast.client.uploads import WatchedFile

Body = dict[str, Any]

MAX_WAIT_S = 30  # the longest `Prefer: wait` that the gateway honours
ATTEMPTS = 5
RETRY_BUDGET_S = 30.0  # a longer Retry-After is told to the caller instead of being slept through
SHOWN_FINDINGS = 3
TOO_MANY_WAITERS = "too_many_waiters"


class ApiError(Exception):
    """The gateway answered and said no. `problem` is its RFC 9457 document."""

    def __init__(self, status: int, problem: Body, retry_after_s: float | None = None) -> None:
        later = "" if retry_after_s is None else f" (again in {retry_after_s:g} s)"
        super().__init__(f"{status} {problem_line(problem)}{later}")
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s


class GatewayUnreachable(ConnectionError):  # noqa: N818 - names a fact, as the standard library's own do
    """No answer came: nobody listens there, or the connection broke before the answer."""


def problem_line(problem: Body) -> str:
    """A problem document in one line: its title, then the first findings with their place and what the detail adds to
    them, else its detail.
    """
    title = str(problem.get("title") or problem.get("code") or "error")
    findings, detail = problem.get("errors") or [], str(problem.get("detail") or "")
    told = "; ".join(_finding_text(each) for each in findings[:SHOWN_FINDINGS]) or detail
    line = f"{title}: {told}" if told and told != title else title
    if len(findings) > SHOWN_FINDINGS:
        line += f", and {len(findings) - SHOWN_FINDINGS} more"
    said = str(findings[0].get("detail") or "") if findings else ""
    if said and detail.startswith(said):  # "the file has no column 'age'", and then which ones it has
        line += detail.removeprefix(said) + _separator_hint(detail)
    return " ".join(line.split())


def _separator_hint(detail: str) -> str:
    """A table with other separators than commas has one column, called like all of them."""
    names = detail.partition("; it has ")[2]
    is_one = "," not in names and (";" in names or "\t" in names)
    return " as its only column; separate columns with commas" if is_one else ""


def _finding_text(finding: Body) -> str:
    return ": ".join(str(part) for part in (finding.get("pointer"), finding.get("detail")) if part)


def read_json(response: httpx2.Response) -> Any:
    """The body of an answer. Raises ApiError when it is not JSON: something else listens at that address."""
    try:
        return msgspec.json.decode(response.content)
    except msgspec.DecodeError as error:
        problem = _foreign_problem(response, "the answer is not JSON")
        raise ApiError(response.status_code, problem) from error


class Transport:
    """Calls to one gateway over kept connections; may be shared between threads."""

    def __init__(self, url: str, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the gateway's url is {url!r}, expected something like http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        # A company's HTTP_PROXY cannot reach this machine's own loopback.
        self._http = httpx2.Client(base_url=self.url, timeout=timeout_s, trust_env=not _is_loopback(parts.hostname))

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: IO[bytes] | WatchedFile | None = None,
        files: dict[str, tuple[str, IO[bytes] | bytes, str]] | None = None,
        form: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        wait_s: int = 0,
        patience_s: float | None = None,
        is_submit: bool = False,
        is_repeatable: bool = False,
    ) -> httpx2.Response:
        """Sends one request and returns its 2xx answer.

        503 and 429 are retried after their Retry-After, whatever the method (but for too many waiters: whoever waits
        has to poll then). A broken connection is retried for GET, and for a submit: it carries an Idempotency-Key, so
        one that was accepted before the connection broke leads to the same job. Nothing else is sent twice, unless the
        caller says that it is_repeatable.
        patience_s: how long to go on retrying, instead of a few attempts within RETRY_BUDGET_S.
        Raises ApiError on every other answer and GatewayUnreachable when none came.
        """
        sent = dict(headers or {})
        if is_submit:
            sent["Idempotency-Key"] = str(uuid.uuid4())
        if wait_s:
            sent["Prefer"] = f"wait={wait_s}"
        encoded: bytes | None = None
        if body is not None:
            encoded = encode_json(body)
            sent["Content-Type"] = "application/json"
        timeout = httpx2.Timeout(self._timeout_s, read=self._timeout_s + wait_s)

        def send_once() -> httpx2.Response:
            if content is not None:
                content.seek(0)  # an attempt before this one has read it
            response = self._http.request(
                method,
                path,
                content=encoded if content is None else content,
                data=form,
                files=files,
                params=query,
                headers=sent,
                timeout=timeout,
            )
            if not response.is_success:
                raise _refusal(response)
            return response

        budget_s = RETRY_BUDGET_S if patience_s is None else patience_s
        attempts = ATTEMPTS if patience_s is None else None
        caller = stamina.RetryingCaller(attempts=attempts, timeout=budget_s, wait_jitter=0.1)
        try:
            return caller(_pause_before_retry(method == "GET" or is_submit or is_repeatable, budget_s), send_once)
        except httpx2.TransportError as error:
            raise self.unreachable(method, path, error, wait_s) from None

    @contextmanager
    def stream(self, path: str, headers: dict[str, str] | None = None) -> Iterator[httpx2.Response]:
        """The 2xx answer to a GET, with its body still to be read. Getting one is tried again like any GET.

        Raises what `send` raises, and httpx2.TransportError when the connection breaks while the body is read.
        """
        request = self._http.build_request("GET", path, headers=headers)

        def open_once() -> httpx2.Response:
            response = self._http.send(request, stream=True)
            if not response.is_success:
                with closing(response):
                    response.read()
                raise _refusal(response)
            return response

        caller = stamina.RetryingCaller(attempts=ATTEMPTS, timeout=RETRY_BUDGET_S, wait_jitter=0.1)
        try:
            response = caller(_pause_before_retry(is_repeatable=True, budget_s=RETRY_BUDGET_S), open_once)
        except httpx2.TransportError as error:
            raise self.unreachable("GET", path, error) from None
        with closing(response):
            yield response

    def unreachable(self, method: str, path: str, error: httpx2.TransportError, wait_s: int = 0) -> GatewayUnreachable:
        reason = error_text(error)
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            hint = "is it running? --url, QUEUECAST_URL or Client(url=...) name another one"
            return GatewayUnreachable(f"no gateway at {self.url} ({reason}); {hint}")
        if isinstance(error, httpx2.TimeoutException):
            line = f"{self.url} did not answer {method} {path} within {self._timeout_s + wait_s:g} s"
        else:
            line = f"the connection to {self.url} broke during {method} {path} ({reason})"
        if method == "POST":
            line += "; it may have been accepted, look at the jobs before sending it again"
        return GatewayUnreachable(line)


def error_text(error: BaseException) -> str:
    """An error's own words, without the number that the operating system puts before them."""
    return str(error).rpartition("] ")[2] or type(error).__name__


def encode_json(body: Any) -> bytes:
    """JSON bytes; numpy scalars and arrays become plain values. Raises ValueError on NaN and infinity."""
    return json.dumps(body, allow_nan=False, separators=(",", ":"), default=_plain_numpy).encode()


def _plain_numpy(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON: {str(value)[:60]!r}")


def _pause_before_retry(is_repeatable: bool, budget_s: float) -> Callable[[Exception], bool | float]:  # noqa: FBT001
    """What stamina asks after an error: False to give up, True for its own backoff, or seconds to pause.

    is_repeatable: whether the request does no more when it arrives twice.
    """
    deadline = time.monotonic() + budget_s

    def pause(error: Exception) -> bool | float:
        if isinstance(error, ApiError):
            if error.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
                return False
            if error.problem.get("code") == TOO_MANY_WAITERS:
                return False  # waiting again may be refused again, while asking without waiting is answered
            if error.retry_after_s is None:
                return True
            return error.retry_after_s if error.retry_after_s <= deadline - time.monotonic() else False
        broken = httpx2.NetworkError | httpx2.RemoteProtocolError | httpx2.ConnectTimeout
        return is_repeatable and isinstance(error, broken)

    return pause


def _refusal(response: httpx2.Response) -> ApiError:
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    if not problem.get("title"):
        problem = _foreign_problem(response, response.text[:200]) | problem
    after = response.headers.get("Retry-After", "")
    return ApiError(response.status_code, problem, float(after) if after.isdecimal() else None)


def _foreign_problem(response: httpx2.Response, text: str) -> Body:
    """Stands in for the problem document where a proxy or a stranger answered."""
    moved = f"moved to {response.headers['Location']}" if "Location" in response.headers else ""
    return {
        "title": response.reason_phrase or "unexpected answer",
        "status": response.status_code,
        "detail": f"{response.url} does not answer as a queuecast gateway: {moved or text}",
    }


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
