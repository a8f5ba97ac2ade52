"""The protocol of each measured server: the bytes of its requests, and how its answers are read.

While the clock runs it only searches bytes; JSON is parsed after the measurement.
"""

import json
from typing import Any, Protocol

MODEL = "titanic"
WAIT_S = 30  # the longest that queuecast's gateway holds an answer


def http(method: str, path: str, body: bytes = b"", headers: str = "", media_type: str = "application/json") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}"
    if body:
        head += f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
    elif method == "POST":
        head += "Content-Length: 0\r\n"
    return head.encode() + b"\r\n" + body


def between(body: bytes, before: bytes) -> str:
    """The JSON string that follows `before`."""
    start = body.index(before) + len(before)
    return body[start : body.index(b'"', start)].decode()


class Dialect(Protocol):
    name: str
    polling_s: float

    def submit(self, rows: list[dict[str, Any]], *, is_waiting: bool) -> bytes:
        """is_waiting: this client wants nothing but the answer, and does nothing until it is there."""

    def job_id(self, body: bytes) -> str: ...

    def fetch(self, job_id: str) -> bytes: ...

    def is_answer(self, status: int, body: bytes) -> bool: ...

    def probabilities(self, body: bytes) -> Any:
        """One list of numbers per row, or the value found in their place."""


class Queuecast:
    """Parks the submit (`Prefer: wait`), and where it only submitted, the fetch."""

    name = "queuecast"
    polling_s = 0.0

    def submit(self, rows: list[dict[str, Any]], *, is_waiting: bool) -> bytes:
        body = json.dumps({"inputs": rows, "method": "predict_proba"}).encode()
        prefer = f"Prefer: wait={WAIT_S}\r\n" if is_waiting else ""
        return http("POST", f"/v1/models/{MODEL}/predictions", body, prefer)

    def job_id(self, body: bytes) -> str:
        return between(body, b'"id":"')

    def fetch(self, job_id: str) -> bytes:
        return http("GET", f"/v1/jobs/{job_id}", headers=f"Prefer: wait={WAIT_S}\r\n")

    def is_answer(self, status: int, body: bytes) -> bool:
        return status == 200 and b'"finished_at":null' not in body

    def probabilities(self, body: bytes) -> Any:
        return json.loads(body).get("result", {}).get("probabilities")


class Tutorial:
    """Submits, and asks every `polling_s` whether the answer is there."""

    name = "tutorial"
    polling_s = 0.01

    def submit(self, rows: list[dict[str, Any]], *, is_waiting: bool) -> bytes:
        return http("POST", "/predict", json.dumps({"inputs": rows}).encode())

    def job_id(self, body: bytes) -> str:
        return between(body, b'"id":"')

    def fetch(self, job_id: str) -> bytes:
        return http("GET", f"/result/{job_id}")

    def is_answer(self, status: int, body: bytes) -> bool:
        return status == 200

    def probabilities(self, body: bytes) -> Any:
        return json.loads(body).get("probabilities")


class LitServe:
    """Answers the submit itself; there is no job."""

    name = "litserve"
    polling_s = 0.0

    def submit(self, rows: list[dict[str, Any]], *, is_waiting: bool) -> bytes:
        return http("POST", "/predict", json.dumps({"inputs": rows}).encode())

    def job_id(self, body: bytes) -> str:
        raise NotImplementedError(f"a synchronous server has no jobs, and answered {body[:80]!r}")

    def fetch(self, job_id: str) -> bytes:
        raise NotImplementedError(f"a synchronous server has no jobs, and was asked for {job_id}")

    def is_answer(self, status: int, body: bytes) -> bool:
        return status == 200

    def probabilities(self, body: bytes) -> Any:
        return json.loads(body).get("probabilities")


class Empty:
    """A route that does nothing, and a job without rows: the cost of the server and the way to it."""

    name = "empty"
    polling_s = 0.0

    def submit(self, rows: list[dict[str, Any]], *, is_waiting: bool) -> bytes:
        return http("GET", "/")

    def job_id(self, body: bytes) -> str:
        raise NotImplementedError(f"there are no jobs here: {body[:80]!r}")

    def fetch(self, job_id: str) -> bytes:
        raise NotImplementedError(f"there are no jobs here: {job_id}")

    def is_answer(self, status: int, body: bytes) -> bool:
        return status == 200

    def probabilities(self, body: bytes) -> Any:
        return []


DIALECTS: dict[str, Dialect] = {each.name: each for each in (Queuecast(), Tutorial(), LitServe(), Empty())}
